/** Limits per key and per address through the running service: what is refused, what clients are told, what an answer costs. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually, post } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

/** An hour's worth of requests is far more than a test sends; a limit this low does not refill while it runs. */
const SLOW = 2;

function keysFile(keys: readonly { readonly name: string; readonly [limit: string]: unknown }[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-limits-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'keys.json');
  const entries = keys.map(({ name, ...limits }) => {
    const sha256 = createHash('sha256').update(`key of ${name}`).digest('hex');
    return { name, sha256, scopes: ['infer'], ...limits };
  });
  writeFileSync(file, JSON.stringify({ keys: entries }));
  return file;
}

async function start(config: Partial<ServiceConfig>, decodeDelay = 0): Promise<void> {
  service = await startTestService({ config, decodeDelay });
}

function send(body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${service.url}/generate`, { method: 'POST', body: JSON.stringify(body), headers });
}

/** `prompt` is one token a letter. */
const TEN_TOKENS = { prompt: 'four', max_new_tokens: 6, ignore_eos: true };

/** A bucket fills while a test runs: in ten seconds by a sixth. */
function expectAbout(headers: Headers, tokens: number): void {
  const left = Number(headers.get('x-ratelimit-remaining-tokens'));
  const limit = Number(headers.get('x-ratelimit-limit-tokens'));
  expect(left).toBeGreaterThanOrEqual(Math.floor(tokens) - 1);
  expect(left).toBeLessThan(tokens + limit / 6);
}

const remaining = (response: Response, kind: string) => Number(response.headers.get(`x-ratelimit-remaining-${kind}`));

describe('requests per minute', () => {
  it('are off, and say nothing, until somebody sets them', async () => {
    await start({});
    const { headers } = await send(TEN_TOKENS);
    expect([...headers.keys()].filter((name) => name.includes('ratelimit'))).toEqual([]);
  });

  it('are counted per address, and what is beyond them is a 429 that says when to come again', async () => {
    await start({ rateLimitRpm: SLOW });
    const first = await send(TEN_TOKENS);
    expect(first.status).toBe(200);
    expect(Object.fromEntries(first.headers)).toMatchObject({
      'ratelimit-policy': '"requests";q=2;w=60',
      ratelimit: expect.stringMatching(/^"requests";r=1;t=(2\d|30)$/),
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': expect.stringMatching(/^(30|2\d\.\d+)s$/),
    });
    // What fails counts as well.
    expect((await send({})).status).toBe(422);
    const refused = await send(TEN_TOKENS);
    expect(refused.status).toBe(429);
    expect(await refused.json()).toMatchObject({
      error: {
        code: 'rate_limited',
        message: expect.stringMatching(
          /^the address 127\.0\.0\.1 may use 2 requests per minute; try again in [\d.]+ s$/,
        ),
      },
    });
    const milliseconds = Number(refused.headers.get('retry-after-ms'));
    expect(milliseconds).toBeGreaterThan(20_000);
    expect(milliseconds).toBeLessThanOrEqual(30_000);
    expect(refused.headers.get('retry-after')).toBe(String(Math.ceil(milliseconds / 1000)));
    expect(remaining(refused, 'requests')).toBe(0);
  });

  it('do not count probes, so that no orchestrator takes a busy service for a dead one', async () => {
    await start({ rateLimitRpm: 1 });
    await send(TEN_TOKENS);
    for (const path of ['/', '/health', '/healthz', '/readyz', '/metrics']) {
      for (let time = 0; time < 5; time++) expect((await service.get(path)).status).toBe(200);
    }
    expect((await service.get('/model-info')).status).toBe(429);
  });

  it('go by the address that our own proxies saw, whatever a client writes', async () => {
    await start({ rateLimitRpm: 1, trustProxy: 1 });
    const from = (forwarded: string) => send(TEN_TOKENS, { 'x-forwarded-for': forwarded });
    expect((await from('203.0.113.1')).status).toBe(200);
    expect((await from('203.0.113.2')).status).toBe(200);
    expect((await from('1.2.3.4, 203.0.113.1')).status).toBe(429);
    expect((await from('203.0.113.9, 203.0.113.2')).status).toBe(429);
  });

  it('believe no header where there is no proxy', async () => {
    await start({ rateLimitRpm: 1 });
    expect((await send(TEN_TOKENS, { 'x-forwarded-for': '203.0.113.1' })).status).toBe(200);
    expect((await send(TEN_TOKENS, { 'x-forwarded-for': '203.0.113.2' })).status).toBe(429);
  });
});

describe('keys', () => {
  it("have a limit each, their own before the service's", async () => {
    const apiKeysFile = keysFile([{ name: 'small', requests_per_minute: 1 }, { name: 'plain' }]);
    await start({ apiKeysFile, rateLimitRpm: SLOW, apiKey: 'mine' });
    const by = async (key: string) => (await send(TEN_TOKENS, { 'x-api-key': key })).status;
    expect([await by('key of small'), await by('key of small')]).toEqual([200, 429]);
    expect([await by('key of plain'), await by('key of plain'), await by('key of plain')]).toEqual([200, 200, 429]);
    expect(await by('mine')).toBe(200);
    // Who is not let in has no limit to use up.
    expect([await by('wrong'), await by('wrong'), await by('wrong')]).toEqual([401, 401, 401]);
  });

  it('of their own are limited where the service limits nobody', async () => {
    const apiKeysFile = keysFile([{ name: 'small', tokens_per_minute: 20 }, { name: 'free' }]);
    await start({ apiKeysFile });
    const by = (name: string) => send({ ...TEN_TOKENS, max_new_tokens: 16 }, { 'x-api-key': `key of ${name}` });
    expect([(await by('small')).status, (await by('small')).status]).toEqual([200, 429]);
    expect([(await by('free')).status, (await by('free')).status]).toEqual([200, 200]);
  });
});

describe('tokens per minute', () => {
  it('cost what an answer used, not what it might have used', async () => {
    await start({ rateLimitTpm: 100 });
    const { body: free } = await service.generate({ prompt: 'four', max_new_tokens: 8, temperature: 0 });
    service.close();
    await start({ rateLimitTpm: 100 });
    const stop = [...free.text].slice(1, 3).join('');
    const { headers, body } = await service.generate({ prompt: 'four', max_new_tokens: 90, temperature: 0, stop });
    expect(body.usage.completion_tokens).toBeLessThan(10);
    expectAbout(headers, 100 - 4 - body.usage.completion_tokens);
    expect(headers.get('x-ratelimit-limit-tokens')).toBe('100');
  });

  it('are kept for what runs, every sequence of it, and given back at the end', async () => {
    await start({ rateLimitTpm: 1000 }, 20);
    const stream = await send({
      prompt: 'four',
      max_new_tokens: 20,
      num_return_sequences: 10,
      ignore_eos: true,
      stream: true,
    });
    expectAbout(stream.headers, 1000 - 4 - 200);
    const refused = await send({ prompt: 'four', max_new_tokens: 100, num_return_sequences: 9 });
    expect(refused.status).toBe(429);
    expect(await refused.text()).toContain('1000 tokens per minute');
    await stream.body?.cancel();
    await eventually(
      async () => remaining(await send({}), 'tokens'),
      (left) => left > 900,
    );
  });

  it('that run short are told with a status of their own to who asks for a stream', async () => {
    await start({ rateLimitTpm: 10 });
    expect((await send(TEN_TOKENS)).status).toBe(200);
    expect((await send({ ...TEN_TOKENS, stream: true })).status).toBe(429);
  });

  it("let a request through that wants more than a minute's worth, once all of it is there, and remember the debt", async () => {
    await start({ rateLimitTpm: 10 });
    const large = await send({ prompt: 'four', max_new_tokens: 26, ignore_eos: true });
    expect(large.status).toBe(200);
    const refused = await send({ prompt: 'a', max_new_tokens: 1 });
    expect(refused.status).toBe(429);
    // Twenty beyond the ten, and two for itself, at ten a minute.
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(120);
  });

  it('are not used by what is refused or never runs', async () => {
    await start({ rateLimitTpm: 1000, occupancySemaphore: 1, queueLimit: 0 }, 20);
    const running = await post(service.url, '/generate', {
      prompt: 'x',
      max_new_tokens: 100,
      ignore_eos: true,
      stream: true,
    });
    await running.sees('token_ids');
    const refused = await send(TEN_TOKENS);
    expect(refused.status).toBe(503);
    expect(remaining(refused, 'tokens')).toBeGreaterThanOrEqual(1000 - 101);
    running.socket.destroy();
  });

  it('of a stream that was read to its end are those that it used', async () => {
    await start({ rateLimitTpm: 100 });
    const { body: free } = await service.generate({ prompt: 'four', max_new_tokens: 8, temperature: 0 });
    const stop = [...free.text].slice(1, 3).join('');
    const stream = await send({ prompt: 'four', max_new_tokens: 60, temperature: 0, stop, stream: true });
    expectAbout(stream.headers, 100 - 12 - 64);
    expect((await allEvents(stream)).at(-1)?.event).toBe('done');
    const { headers } = await send({ prompt: 'a', max_new_tokens: 1, ignore_eos: true });
    expectAbout(headers, 100 - 12 - 8 - 2);
  });
});
