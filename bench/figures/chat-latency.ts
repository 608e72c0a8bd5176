/**
 * What HTTP, JSON, the chat template, the tokenizer and OpenAI's own client add to the time that the engine takes, request by request: the
 * engine's own times are taken from the client's, so that the engine's speed has no say. Between its chats each client asks a bare server,
 * which shows how much of it the client, HTTP and the system take in any case.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import OpenAI from 'openai';
import type { BareServerMessage } from '../bare-server.ts';
import type { Version } from '../field.ts';
import { type Percentiles, percentiles } from '../rounds.ts';
import type { EngineTiming, TimedServiceMessage } from '../timed-service.ts';
import { tokenizerOf } from '../version.ts';
import type { Prompts } from './speed.ts';

const CLIENTS = 16;
const PROMPT_TOKENS = 48;
/** Answers of many lengths, or all clients would ask in the same moment. */
const SHORTEST = 8;
const LENGTHS = 32;
/** Until then code is compiled and connections are made. */
const WARM_UP = 2 * CLIENTS;
/** A p99 of fewer says nothing. */
const FEWEST = 200;

export interface ChatLatency {
  readonly model: string;
  readonly clients: number;
  readonly requests: number;
  /** Milliseconds beyond the engine's own: to the first text of a stream, to its end, to a whole answer. */
  readonly added_ms: Readonly<Record<'stream_first_token' | 'stream_end' | 'answer', Percentiles>>;
  /** Milliseconds of a whole answer of the bare server, at the same time. */
  readonly bare_ms: Percentiles;
  /** What they are added to. */
  readonly engine_ms: Readonly<Record<'first_token' | 'end', Percentiles>>;
}

interface Asked {
  readonly id: string;
  readonly askedAt: number;
  /** Undefined where the answer came whole. */
  readonly firstTokenAt: number | undefined;
  readonly endedAt: number;
}

export async function measureChatLatency(
  version: Version,
  { make }: Prompts,
  settings: { threads: number; seconds: number },
): Promise<ChatLatency> {
  const tokenizer = await tokenizerOf(version);
  const timings = new Map<string, EngineTiming>();
  const { url, stop } = await startTimedService(version, settings.threads, timings);
  // Without retries: a failure is a failure.
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  const bareServer = await startBareServer();
  const bareClient = new OpenAI({ baseURL: `${bareServer.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const asked: Asked[] = [];
  const bare: number[] = [];
  const until = steadyNow() + settings.seconds * 1000;
  let index = 0;
  const ask = async (): Promise<void> => {
    while (index < WARM_UP + FEWEST || steadyNow() < until) {
      const content = tokenizer.decode(make(PROMPT_TOKENS, index));
      asked.push(await chat(client, version.reference, content, index++));
      const askedAt = steadyNow();
      await bareClient.chat.completions.create({
        model: version.reference,
        messages: [{ role: 'user', content }],
      });
      bare.push(steadyNow() - askedAt);
    }
  };
  try {
    await Promise.all(Array.from({ length: CLIENTS }, ask));
  } finally {
    bareServer.stop();
    await stop();
  }
  const warm = asked.slice(WARM_UP).map((one) => ({ ...one, engine: timingOf(timings, one.id) }));
  const streams = warm.flatMap(({ firstTokenAt, ...one }) =>
    firstTokenAt === undefined ? [] : { ...one, firstTokenAt },
  );
  const whole = warm.filter(({ firstTokenAt }) => firstTokenAt === undefined);
  const addedInAll = ({ askedAt, endedAt, engine }: (typeof warm)[number]) =>
    endedAt - askedAt - (engine.finishedAt - engine.submittedAt);
  return {
    model: version.reference,
    clients: CLIENTS,
    requests: warm.length,
    added_ms: {
      stream_first_token: percentiles(
        streams.map(
          ({ askedAt, firstTokenAt, engine }) => firstTokenAt - askedAt - (engine.firstTokenAt - engine.submittedAt),
        ),
      ),
      stream_end: percentiles(streams.map(addedInAll)),
      answer: percentiles(whole.map(addedInAll)),
    },
    bare_ms: percentiles(bare.slice(WARM_UP)),
    engine_ms: {
      first_token: percentiles(warm.map(({ engine }) => engine.firstTokenAt - engine.submittedAt)),
      end: percentiles(warm.map(({ engine }) => engine.finishedAt - engine.submittedAt)),
    },
  };
}

/** Every second one is streamed. */
async function chat(client: OpenAI, model: string, content: string, index: number): Promise<Asked> {
  const tokens = SHORTEST + ((index * 13) % LENGTHS);
  const request = {
    model,
    messages: [{ role: 'user' as const, content }],
    max_tokens: tokens,
    // vLLM's, and ours: no answer ends earlier, so that every first token has a text.
    min_tokens: tokens,
    temperature: 0,
  };
  const askedAt = steadyNow();
  if (index % 2 === 0) {
    const { id } = await client.chat.completions.create(request);
    return { id, askedAt, firstTokenAt: undefined, endedAt: steadyNow() };
  }
  const stream = await client.chat.completions.create({ ...request, stream: true });
  let id = '';
  let firstTokenAt: number | undefined;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) firstTokenAt ??= steadyNow();
    id = chunk.id;
  }
  return { id, askedAt, firstTokenAt: firstTokenAt ?? Number.NaN, endedAt: steadyNow() };
}

async function startBareServer(): Promise<{ url: string; stop: () => void }> {
  const child = fork(join(import.meta.dirname, '..', 'bare-server.ts'));
  const url = await new Promise<string>((ready) => {
    child.once('message', (message: BareServerMessage) => ready(message.url));
  });
  return { url, stop: () => child.disconnect() };
}

async function startTimedService(
  version: Version,
  threads: number,
  timings: Map<string, EngineTiming>,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const child = fork(join(import.meta.dirname, '..', 'timed-service.ts'), [], {
    env: {
      ...process.env,
      MODEL: version.reference,
      PORT: '0',
      HOST: '127.0.0.1',
      THREADS: String(threads),
      OCCUPANCY_SEMAPHORE: String(CLIENTS),
      TIMEOUT_SECONDS: '600',
    },
  });
  const url = await new Promise<string>((ready, fail) => {
    child.once('exit', (code) => fail(new Error(`the service ended with ${code}`)));
    child.on('message', (message: TimedServiceMessage) => {
      if ('url' in message) ready(message.url);
      else timings.set(message.timing.id, message.timing);
    });
  });
  return {
    url,
    stop: async () => {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

function timingOf(timings: ReadonlyMap<string, EngineTiming>, id: string): EngineTiming {
  const timing = timings.get(`${id}-0`);
  if (!timing) throw new Error(`the engine said nothing of ${id}`);
  return timing;
}
