/**
 * Thousands of requests that are wrong in every way, the same ones each time, to every endpoint that the front page names: no answer is the
 * service's fault, nothing crashes, and probes are answered all along.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';
import { type Endpoint, listedEndpoints } from './testing/listed-endpoints.ts';
import { FIELD_NAMES, HOSTILE_NAMES, hostileValue, type Random, randomFrom } from './testing/random.ts';
import { broken, exchange, rightRequest, statusesIn } from './testing/raw-request.ts';

let service: RealService;
let endpoints: readonly Endpoint[];

beforeAll(async () => {
  service = await startRealService({ MAX_NEW_TOKENS: '4', DEFAULT_MAX_NEW_TOKENS: '2', MAX_PROMPT_TOKENS: '64' });
  // Where the playground has not been built, its page says so with a 503 of its own.
  const isBuilt = (await fetch(`${service.url}/ui`)).status !== 503;
  endpoints = (await listedEndpoints(service.url)).filter(({ path }) => isBuilt || path !== '/ui');
  expect(endpoints.length).toBeGreaterThan(5);
});
afterAll(() => service.stop());

const AT_ONCE = 16;
/** Said to be not done here: embeddings. */
const NOT_DONE = 501;

/** Every answer is one that the client has earned. */
function expectNoFault(received: string, sent: Uint8Array): void {
  for (const status of statusesIn(received)) {
    if (status < 500 || status === NOT_DONE) continue;
    throw new Error(
      `${status} for ${JSON.stringify(Buffer.from(sent).toString('latin1').slice(0, 2000))}: ${received.slice(0, 1000)}`,
    );
  }
}

async function sendAll(count: number, isWhole: boolean, make: (index: number) => Buffer): Promise<number> {
  let answered = 0;
  let next = 0;
  const senders = Array.from({ length: AT_ONCE }, async () => {
    while (next < count) {
      const bytes = make(next);
      next += 1;
      const received = await exchange(service.url, bytes, isWhole);
      expectNoFault(received, bytes);
      if (received !== '') answered += 1;
      if (next % 100 === 0) expect((await fetch(`${service.url}/healthz`)).status).toBe(200);
    }
  });
  await Promise.all(senders);
  return answered;
}

function expectNoBug(): void {
  expect(service.child.exitCode).toBeNull();
  expect(service.log.filter(({ msg, level }) => msg === 'a bug' || level === 'fatal')).toEqual([]);
  expect(service.errors()).toBe('');
}

/** `{id}` stands for one part of a path. */
function filled(path: string, random: Random): string {
  const name = () => encodeURIComponent(random.pick(HOSTILE_NAMES).slice(0, 2000).toWellFormed());
  return path.replaceAll(/\{\w+\}|:\w+/g, name);
}

const BODIES = [
  '{"prompt": "Once upon a time", "max_new_tokens": 2}',
  '{"prompt": "Once", "max_tokens": 2, "stream": true}',
  '{"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}',
  '{"text": "Once upon a time"}',
  '{"model": "shakespeare-gpt2", "prompt": [1, 2, 3], "max_tokens": 1, "echo": true, "logprobs": 1}',
];

describe('random faults', { timeout: 300_000 }, () => {
  it.each([1, 2, 3])('in the bytes of a request (seed %d)', async (seed) => {
    const random = randomFrom(seed);
    const answered = await sendAll(1000, false, () => {
      const { method, path } = random.pick(endpoints);
      return broken(rightRequest({ method, path: filled(path, random) }, random.pick(BODIES)), random);
    });
    // Most are still enough of a request to be answered, in whatever words.
    expect(answered).toBeGreaterThan(500);
    expectNoBug();
  });

  it.each([4, 5, 6])('in the fields of a body (seed %d)', async (seed) => {
    const random = randomFrom(seed);
    const posts = endpoints.filter(({ method }) => method !== 'GET');
    const answered = await sendAll(1000, true, () => {
      const { method, path } = random.pick(posts);
      const body: Record<string, unknown> = JSON.parse(random.pick(BODIES));
      for (let fault = random.below(4); fault >= 0; fault--) {
        Object.defineProperty(body, random.pick(FIELD_NAMES), {
          value: hostileValue(random),
          enumerable: true,
          configurable: true,
        });
      }
      return rightRequest({ method, path: filled(path, random) }, JSON.stringify(body));
    });
    expect(answered).toBe(1000);
    expectNoBug();
  });

  it.each([7])('in what a body is made of (seed %d)', async (seed) => {
    const random = randomFrom(seed);
    const posts = endpoints.filter(({ method }) => method !== 'GET');
    const texts = [
      ...[
        '',
        ' ',
        '{',
        '[',
        '"',
        'null',
        'true',
        '0',
        '[]',
        '{}',
        '{"prompt"',
        '{"a":1}{"b":2}',
        "{'prompt': 1}",
        '\ufeff{}',
        'NaN',
      ],
      '['.repeat(100_000),
      `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}`,
      `{"prompt": "${'a'.repeat(1_000_000)}", "max_new_tokens": 1, "max_tokens": 1}`,
      `{"prompt": [${'1,'.repeat(300_000)}1], "max_new_tokens": 1, "max_tokens": 1}`,
      `{${Array.from({ length: 50_000 }, (_, index) => `"f${index}": 1`).join(',')}}`,
      `{"stop": [${'"a",'.repeat(100_000)}"a"], "prompt": "a"}`,
      `{"messages": [${'{"role": "user", "content": "a"},'.repeat(20_000)}{"role": "user", "content": "b"}], "max_tokens": 1}`,
    ];
    const count = posts.length * texts.length + 200;
    const answered = await sendAll(count, true, (index) => {
      const endpoint = posts[index % posts.length] ?? random.pick(posts);
      const path = filled(endpoint.path, random);
      const text = texts[Math.floor(index / posts.length)];
      if (text !== undefined) return rightRequest({ ...endpoint, path }, text);
      // Bytes that are no UTF-8, with a length that is right.
      const noise = random.bytes(random.below(500));
      const head = `${endpoint.method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${noise.length}\r\n\r\n`;
      return Buffer.concat([Buffer.from(head), noise]);
    });
    expect(answered).toBe(count);
    expectNoBug();
  });
});

describe('afterwards', () => {
  it('the service answers as ever, with the same process', async () => {
    const response = await service.generate({ prompt: 'Once upon a time', max_new_tokens: 4, temperature: 0 });
    expect(response.status).toBe(200);
    expectNoBug();
  });
});
