/** Answers that are kept, through the running service: same bytes, nothing computed, nobody else's. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

async function start(config: Partial<ServiceConfig> = {}): Promise<void> {
  service = await startTestService({ config: { responseCacheMb: 8, ...config } });
}

function send(path: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(service.url + path, { method: 'POST', body: JSON.stringify(body), headers });
}

const GREEDY = { prompt: 'once upon', max_new_tokens: 12, temperature: 0, ignore_eos: true };

/** How many tokens the engine has made. */
async function generated(): Promise<number> {
  const { text } = await service.get('/metrics');
  return Number(/^vllm:generation_tokens_total\{[^}]*\} (\d+)/m.exec(text)?.[1] ?? 0);
}

describe('the answer cache', () => {
  it('is off until it is asked for', async () => {
    await start({ responseCacheMb: 0 });
    for (const _ of [1, 2]) {
      const response = await send('/generate', GREEDY);
      expect(response.headers.has('x-slipway-cache')).toBe(false);
      await response.text();
    }
    expect(await generated()).toBe(24);
  });

  it('gives the same answer again without computing it', async () => {
    await start();
    const [first, second] = [await service.generate(GREEDY), await service.generate(GREEDY)];
    expect([first, second].map(({ headers }) => headers.get('x-slipway-cache'))).toEqual(['miss', 'hit']);
    const { id, request_id, timings, ...rest } = second.body;
    expect(first.body).toMatchObject(rest);
    expect(id).not.toBe(first.body.id);
    expect(request_id).not.toBe(first.body.request_id);
    expect(timings.queue_ms).toBe(0);
    expect(await generated()).toBe(12);
  });

  it('replays streams, and what was streamed as an answer', async () => {
    await start();
    const text = async (body: object) => {
      const response = await send('/generate', { ...body, stream: true });
      const events = await allEvents(response);
      const texts = events.map(({ data }) => String(Reflect.get(Object(data), 'text')));
      expect(events.at(-1)?.event).toBe('done');
      return [response.headers.get('x-slipway-cache'), texts.join('')];
    };
    const [[miss, whole], [hit, again]] = [await text(GREEDY), await text(GREEDY)];
    expect([miss, hit, again]).toEqual(['miss', 'hit', whole]);
    const answer = await service.generate(GREEDY);
    expect([answer.headers.get('x-slipway-cache'), answer.body.text]).toEqual(['hit', whole]);
    const asked = { ...GREEDY, logprobs: 2, num_return_sequences: 2, seed: 3 };
    const { body } = await service.generate(asked);
    const events = await allEvents(await send('/generate', { ...asked, stream: true }));
    const done: { outputs: { logprobs: unknown }[] } = JSON.parse(JSON.stringify(events.at(-1)?.data));
    expect(done.outputs.map(({ logprobs }) => logprobs)).toEqual(
      body.outputs.map(({ logprobs }: { logprobs: unknown }) => logprobs),
    );
  });

  it('keeps only what would come out the same: greedy, or with a seed', async () => {
    await start();
    const sampled = { ...GREEDY, temperature: 1 };
    expect((await service.generate(sampled)).headers.has('x-slipway-cache')).toBe(false);
    const seeded = { ...sampled, seed: 4 };
    const [first, second] = [await service.generate(seeded), await service.generate(seeded)];
    expect(second.headers.get('x-slipway-cache')).toBe('hit');
    expect(second.body.text).toBe(first.body.text);
    expect((await service.generate({ ...sampled, seed: 5 })).headers.get('x-slipway-cache')).toBe('miss');
  });

  it("serves every way to ask: OpenAI's completions and chat, several prompts, streams", async () => {
    await start();
    const completion = { model: 'synthetic', prompt: ['a', 'b'], max_tokens: 5, temperature: 0 };
    const bodies = [];
    for (const outcome of ['miss', 'hit']) {
      const response = await send('/v1/completions', completion);
      expect(response.headers.get('x-slipway-cache')).toBe(outcome);
      const body: { choices: unknown; usage: { total_tokens: number } } = JSON.parse(await response.text());
      bodies.push([body.choices, body.usage.total_tokens]);
    }
    expect(bodies[0]).toEqual(bodies[1]);
    const partly = await send('/v1/completions', { ...completion, prompt: ['a', 'c'] });
    expect(partly.headers.get('x-slipway-cache')).toBe('partial');
    const streamed = await send('/v1/completions', { ...completion, stream: true });
    expect(streamed.headers.get('x-slipway-cache')).toBe('hit');
    expect(await streamed.text()).toContain('data: [DONE]');
  });

  it('keeps nothing of a request that failed', async () => {
    service = await startTestService({ decodeDelay: 50, config: { responseCacheMb: 8, timeoutSeconds: 1 } });
    const slow = { ...GREEDY, max_new_tokens: 512 };
    for (const _ of [1, 2]) {
      const { status, headers } = await service.generate(slow);
      expect([status, headers.get('x-slipway-cache')]).toEqual([504, 'miss']);
    }
  });

  it('tells no caller what another one asked, and costs no tokens of a limit', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-cache-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const apiKeysFile = join(folder, 'keys.json');
    const keys = ['a', 'b'].map((name) => {
      const sha256 = createHash('sha256').update(`key ${name}`).digest('hex');
      return { name, sha256, scopes: ['infer'], tokens_per_minute: 40 };
    });
    writeFileSync(apiKeysFile, JSON.stringify({ keys }));
    await start({ apiKeysFile });
    const by = async (name: string) => {
      const response = await send('/generate', GREEDY, { 'x-api-key': `key ${name}` });
      await response.text();
      return [response.status, response.headers.get('x-slipway-cache')];
    };
    expect(await by('a')).toEqual([200, 'miss']);
    for (let time = 0; time < 10; time++) expect(await by('a')).toEqual([200, 'hit']);
    expect(await by('b')).toEqual([200, 'miss']);
  });
});
