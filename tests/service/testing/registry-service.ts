/**
 * A whole service over a bucket of its own with real small models: what a test asks of it, and which engines it has.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { loadServiceConfig, type ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { ModelsAnswer } from '@slipway/shared/contracts/models-api.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { onTestFinished } from 'vitest';
import { startService } from '../../../services/inference/http/service.ts';
import type { MemoryReadings } from '../../../services/inference/models/memory.ts';
import { ModelRegistry } from '../../../services/inference/models/registry.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
type Body = any;

export interface Told {
  readonly status: number;
  readonly body: Body;
}

export interface RegistryService {
  readonly url: string;
  readonly models: ModelRegistry;
  get(path: string): Promise<Body>;
  tell(path: string, body: object, init?: RequestInit): Promise<Told>;
  load(model: string): Promise<Told>;
  unload(model: string): Promise<Told>;
  /** Greedy, a few tokens, always the same for one version. */
  generate(body?: object, init?: RequestInit): Promise<Told>;
  stream(body?: object): Promise<Response>;
  /** What is loaded, by the name it is loaded under. */
  loaded(): Promise<Map<string, ModelsAnswer['models'][number]['loaded'][number]>>;
  close(): Promise<void>;
}

export const REQUEST = { prompt: 'Once upon a time', max_new_tokens: 20, temperature: 0, seed: 1 };

/** Closed when the test ends. */
export async function serveBucket(
  bucket: Bucket,
  config: Partial<ServiceConfig> = {},
  memory?: () => MemoryReadings,
): Promise<RegistryService> {
  const settings: ServiceConfig = {
    ...(await loadServiceConfig({ path: null })),
    port: 0,
    host: '127.0.0.1',
    bucketUrl: bucket.location,
    threads: 1,
    slots: 8,
    pollSeconds: 0.05,
    ...config,
  };
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  const models = new ModelRegistry(settings, log, memory);
  await models.mainLoaded;
  const service = await startService({ config: settings, models, log });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= service.close();
    return closed;
  };
  onTestFinished(close);
  const send = (path: string, body: object, init: RequestInit = {}) =>
    fetch(service.url + path, { method: 'POST', body: JSON.stringify(body), ...init });
  const tell = async (path: string, body: object, init?: RequestInit): Promise<Told> => {
    const response = await send(path, body, init);
    return { status: response.status, body: await response.json() };
  };
  const get = async (path: string): Promise<Body> => (await fetch(service.url + path)).json();
  return {
    url: service.url,
    models,
    get,
    tell,
    load: (model) => tell('/models/load', { model }),
    unload: (model) => tell('/models/unload', { model }),
    generate: (body, init) => tell('/generate', { ...REQUEST, ...body }, init),
    stream: (body) => send('/generate', { ...REQUEST, stream: true, ...body }),
    async loaded() {
      const list: ModelsAnswer = await get('/api/v1/models');
      return new Map(list.models.flatMap((model) => model.loaded.map((one) => [one.name, one])));
    },
    close,
  };
}

/** Process ids of this process's engines. Linux only. */
export function engines(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number)
      .filter((pid) => commandOf(pid).includes('child-main')),
  );
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
