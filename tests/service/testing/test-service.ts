/**
 * A whole service on the loopback interface for tests: real HTTP, the real engine in its child process, the synthetic layout.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SupervisedEngine, superviseEngine } from '@slipway/inference/engine';
import { loadServiceConfig, type ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { startService } from '../../../services/inference/http/service.ts';
import { describeProcess, engineReady, whyNotReady } from '../../../services/inference/models/engine-ready.ts';
import { stateOf } from '../../../services/inference/models/model-host.ts';
import type { ModelState } from '../../../services/inference/models/model-state.ts';
import { readyModel, type ServedModels } from '../../../services/inference/models/served-models.ts';
import { BYTE_BOS, BYTE_EOS, BYTE_VOCABULARY, byteTokenizer } from './byte-tokenizer.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  readonly body: any;
}

export interface TestService {
  readonly url: string;
  readonly engine: SupervisedEngine;
  get(path: string): Promise<Answered>;
  /** A body as it is. */
  post(body: NonNullable<RequestInit['body']>): Promise<Answered>;
  generate(body: object): Promise<Answered>;
  /** The response of a streaming request, unread. */
  stream(body: object): Promise<Response>;
  drain(seconds: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface TestServiceOptions {
  readonly config?: Partial<ServiceConfig>;
  readonly slots?: number;
  readonly contextLength?: number;
  /** After how many tokens its text mostly repeats, so that it can be guessed. */
  readonly period?: number;
  /** Milliseconds per step and per prompt token. */
  readonly decodeDelay?: number;
  readonly prefillDelay?: number;
  /** Milliseconds before an engine that died is started again. */
  readonly restartPause?: number;
  /** Instead of a model that is ready. */
  readonly state?: ModelState;
  /** A function is asked for each request, so that another model can be feigned. */
  readonly chatTemplate?: string | (() => string);
  /** Every line of the service's log. */
  readonly onLog?: (line: string) => void;
}

export async function startTestService(options: TestServiceOptions): Promise<TestService> {
  const { slots = 4, contextLength = 2048, decodeDelay = 0, prefillDelay = 0 } = options;
  const engine = await superviseEngine(
    {
      kind: 'synthetic',
      vocabularySize: BYTE_VOCABULARY,
      contextLength,
      slots,
      decodeDelay,
      prefillDelay,
      ...(options.period === undefined ? {} : { period: options.period }),
    },
    options.restartPause === undefined ? {} : { shortestPause: options.restartPause },
  );
  const model = modelOf(engine, options.chatTemplate);
  const scratch = await mkdtemp(join(tmpdir(), 'slipway-service-'));
  const config = {
    ...(await loadServiceConfig({ path: null })),
    port: 0,
    host: '127.0.0.1',
    dataFolder: scratch,
    ...options.config,
  };
  const service = await startService({
    config,
    models: oneModel(engine, model, options.state),
    log: createLogger({
      service: 'test',
      ...(options.onLog === undefined
        ? { level: 'silent', destination: silence }
        : { level: 'debug', destination: { write: options.onLog } }),
    }),
  });
  const send = (body: NonNullable<RequestInit['body']>) =>
    // Streams as bodies need it; the type does not know it yet.
    fetch(`${service.url}/generate`, { method: 'POST', body, duplex: 'half' } as RequestInit);
  return {
    url: service.url,
    engine,
    get: async (path) => answered(await fetch(service.url + path)),
    post: async (body) => answered(await send(body)),
    generate: async (body) => answered(await send(JSON.stringify(body))),
    stream: (body) => send(JSON.stringify({ ...body, stream: true })),
    drain: (seconds) => service.drain(seconds),
    async close() {
      await service.close();
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** As a bucket with this one model would have it, of which nothing can be loaded or unloaded. */
function oneModel(
  engine: SupervisedEngine,
  model: ReturnType<typeof modelOf>,
  given: ModelState | undefined,
): ServedModels {
  const main = { state: () => given ?? stateOf(model), following: () => null };
  const refuse = () => Promise.reject(new Error('the test service has no bucket'));
  return {
    main,
    async find(wanted) {
      const found = readyModel(main);
      if (wanted === undefined || /^(?:[^/]+\/)?synthetic(?:@latest)?$/.test(wanted)) return found;
      throw new AppError('not_found', `model ${JSON.stringify(wanted)} is not served here; synthetic is`, {
        field: 'model',
      });
    },
    idOf: ({ name }) => name,
    loaded: () => (main.state().kind === 'ready' ? [model] : []),
    totals: () => new Map(),
    detail: () => null,
    list: async () => ({
      models: [],
      unreadable: [],
      memory: { enginesBytes: 0, availableBytes: null, limitBytes: null },
    }),
    load: refuse,
    unload: refuse,
    close: () => engine.close(),
  };
}

function modelOf(engine: SupervisedEngine, chatTemplate: TestServiceOptions['chatTemplate']) {
  return {
    name: 'synthetic',
    manifest: null,
    tokenizer: byteTokenizer,
    get chatTemplate() {
      return typeof chatTemplate === 'function' ? chatTemplate() : (chatTemplate ?? null);
    },
    bosTokenId: BYTE_BOS,
    eosTokenIds: [BYTE_EOS],
    addBos: false,
    engine,
    engineProcess: () => describeProcess(engine),
    whenReady: (signal: AbortSignal) => engineReady(engine, signal),
    whyNotReady: () => whyNotReady(engine),
    fingerprint: 'fp_test',
    aliases: () => ['latest'],
    hold: () => () => {},
  };
}

export async function answered(response: Response): Promise<Answered> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined };
}
