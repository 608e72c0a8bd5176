/**
 * Whether memory stays flat over many requests of every kind, each answer looked at. Knows what the kinds ask; leaves what memory did to
 * `memory-trend.ts`.
 */
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import type { Version } from '../field.ts';
import { startHttpService } from '../http-service.ts';
import { type MemoryTrend, memoryTrend } from '../memory-trend.ts';
import { residentSizes } from '../process-memory.ts';
import { tokenizerOf } from '../version.ts';
import type { Prompts } from './speed.ts';

const CLIENTS = 16;
const CONTEXT = 512;
const LONGEST_PROMPT = 160;
const LONGEST_ANSWER = 24;
const SAMPLES = 40;

export interface SoakResult {
  readonly model: string;
  readonly requests: number;
  readonly seconds: number;
  /** How requests of each kind ended: by status, or `left` where the client did. */
  readonly outcomes: Readonly<Record<string, number>>;
  readonly service: MemoryTrend;
  readonly engine: MemoryTrend;
}

export async function measureSoak(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; requests: number },
  tell: (line: string) => void,
): Promise<SoakResult> {
  const tokenizer = await tokenizerOf(version);
  const contextLength = Math.min(CONTEXT, version.manifest.architecture.context_length);
  const service = await startHttpService(version.reference, { ...settings, requests: CLIENTS, contextLength });
  const kinds = version.manifest.text.chat_template === null ? KINDS : [...KINDS, ...CHAT_KINDS];
  const outcomes: Record<string, number> = {};
  const memory = { service: [] as number[], engine: [] as number[] };
  const every = Math.max(1, Math.floor(settings.requests / SAMPLES));
  const begun = performance.now();
  let asked = 0;
  const client = async (): Promise<void> => {
    while (asked < settings.requests) {
      const index = asked++;
      if (index % every === 0) {
        const { own, children } = residentSizes(service.child.pid ?? 0);
        memory.service.push(own);
        memory.engine.push(children.reduce((sum, size) => sum + size, 0));
        tell(`${index} requests: service ${own.toFixed(1)} MiB, engine ${memory.engine.at(-1)?.toFixed(1)} MiB`);
      }
      const kind = kinds[index % kinds.length] ?? 'answer';
      const prompt = make(1 + ((index * 37) % LONGEST_PROMPT), index);
      const outcome = `${kind}: ${await ask(service.url, kind, requestOf(index, prompt, tokenizer))}`;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: CLIENTS }, client));
  } finally {
    await service.stop();
  }
  return {
    model: version.reference,
    requests: settings.requests,
    seconds: Math.round((performance.now() - begun) / 1000),
    outcomes,
    service: memoryTrend(memory.service, every),
    engine: memoryTrend(memory.engine, every),
  };
}

const KINDS = ['answer', 'stream', 'left', 'completion', 'structured', 'score', 'wrong'] as const;
/** Of models with a template. */
const CHAT_KINDS = ['chat', 'chat stream'] as const;
type Kind = (typeof KINDS)[number] | (typeof CHAT_KINDS)[number];

interface Request {
  readonly generate: { readonly prompt: readonly number[]; readonly max_new_tokens: number; readonly seed: number };
  readonly openAi: { readonly max_tokens: number; readonly seed: number };
  readonly text: string;
  /** A form of its own for every one, a few of which come again. */
  readonly schema: object;
}

function requestOf(index: number, prompt: readonly number[], tokenizer: Tokenizer): Request {
  const tokens = 1 + (index % LONGEST_ANSWER);
  return {
    generate: { prompt, max_new_tokens: tokens, seed: index },
    openAi: { max_tokens: tokens, seed: index },
    text: tokenizer.decode(prompt) || 'a',
    schema: { type: 'array', items: { enum: ['yes', 'no', index % 50] }, minItems: 1, maxItems: 3 },
  };
}

/** Gives the status, or `left`. Throws where an answer is not what it must be. */
async function ask(url: string, kind: Kind, { generate, openAi, text, schema }: Request): Promise<string> {
  const chat = { ...openAi, messages: [{ role: 'user', content: text }] };
  switch (kind) {
    case 'answer':
      return expectStatus(await post(`${url}/generate`, generate), 200, '"finish_reason"');
    case 'stream':
      return expectStatus(await post(`${url}/generate`, { ...generate, stream: true }), 200, 'event: done');
    case 'left':
      return leave(`${url}/generate`, { ...generate, max_new_tokens: 200, ignore_eos: true, stream: true });
    case 'completion':
      return expectStatus(await post(`${url}/v1/completions`, { ...openAi, prompt: text }), 200, '"finish_reason"');
    case 'structured': {
      const form = { type: 'json_schema', json_schema: { schema } };
      return expectStatus(
        await post(`${url}/generate`, { ...generate, response_format: form }),
        200,
        '"finish_reason"',
      );
    }
    case 'score':
      return expectStatus(await post(`${url}/score`, { text }), 200, '"results"');
    case 'wrong':
      return expectStatus(await post(`${url}/generate`, { ...generate, temperature: -1 }), 422, 'temperature');
    case 'chat':
      return expectStatus(await post(`${url}/v1/chat/completions`, chat), 200, '"finish_reason"');
    case 'chat stream':
      return expectStatus(await post(`${url}/v1/chat/completions`, { ...chat, stream: true }), 200, 'data: [DONE]');
  }
}

function post(url: string, body: object, signal?: AbortSignal): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return fetch(url, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function expectStatus(response: Response, status: number, holding: string): Promise<string> {
  const text = await response.text();
  if (response.status === status && text.includes(holding)) return String(status);
  throw new Error(`${response.status} instead of ${status} with ${holding}: ${text.slice(-500)}`);
}

async function leave(url: string, body: object): Promise<'left'> {
  const leaving = new AbortController();
  const response = await post(url, body, leaving.signal);
  await response.body?.getReader().read();
  leaving.abort();
  return 'left';
}
