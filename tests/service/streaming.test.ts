/** Server-sent events: valid, whole, and the same text as the JSON answer. */
import type { GenerateAnswer, GenerateDelta } from '@slipway/shared/contracts/generate.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startTestService({});
});
afterAll(() => service.close());

interface Streamed {
  readonly texts: string[];
  readonly tokenIds: number[][];
  readonly reasons: (string | null)[];
  readonly logprobs: unknown[][];
  readonly firstText: string;
  readonly done: GenerateAnswer;
  readonly events: number;
}

async function stream(body: object): Promise<Streamed> {
  const response = await service.stream(body);
  expect(response.status).toBe(200);
  const events = await allEvents(response);
  const last = events.at(-1);
  expect(events.slice(0, -1).every(({ event }) => event === undefined)).toBe(true);
  expect(last?.event).toBe('done');
  const done = last?.data as GenerateAnswer;
  const texts = done.outputs.map(() => '');
  const tokenIds: number[][] = done.outputs.map(() => []);
  const reasons: (string | null)[] = done.outputs.map(() => null);
  const logprobs: unknown[][] = done.outputs.map(() => []);
  let firstText = '';
  for (const { data } of events) {
    const delta = data as GenerateDelta;
    expect([delta.id, delta.model]).toEqual([done.id, 'synthetic']);
    firstText += delta.text;
    for (const { index, text, token_ids, finish_reason, logprobs: some } of delta.outputs) {
      texts[index] += text;
      tokenIds[index]?.push(...token_ids);
      if (data !== done) {
        logprobs[index]?.push(...(some ?? []));
        expect(reasons[index]).toBeNull();
        reasons[index] = finish_reason;
      }
    }
  }
  return { texts, tokenIds, reasons, logprobs, firstText, done, events: events.length };
}

describe('a stream', () => {
  it('adds up to the JSON answer, token by token', async () => {
    const body = { prompt: 'stream me', max_new_tokens: 40, seed: 1, ignore_eos: true };
    const { body: whole } = await service.generate(body);
    const streamed = await stream(body);
    expect(streamed.texts).toEqual([whole.text]);
    expect(streamed.firstText).toBe(whole.text);
    expect(streamed.tokenIds).toEqual([whole.outputs[0].token_ids]);
    expect(streamed.reasons).toEqual(['length']);
    expect(streamed.events).toBeGreaterThan(40);
    expect(streamed.done).toMatchObject({ usage: whole.usage, seed: 1, system_fingerprint: whole.system_fingerprint });
    expect(streamed.done.outputs).toEqual([{ index: 0, text: '', token_ids: [], finish_reason: 'length' }]);
  });

  it('carries several sequences, each with its index and its end', async () => {
    const body = { prompt: 'many', max_new_tokens: 12, num_return_sequences: 10, seed: 3, temperature: 1.5 };
    const { body: whole } = await service.generate(body);
    const streamed = await stream(body);
    expect(streamed.texts).toEqual(whole.outputs.map((output: { text: string }) => output.text));
    expect(streamed.reasons).toEqual(whole.outputs.map((output: { finish_reason: string }) => output.finish_reason));
    expect(streamed.done.usage).toEqual(whole.usage);
  });

  it('carries log probabilities', async () => {
    const body = { prompt: 'p', max_new_tokens: 6, logprobs: 3, seed: 5 };
    const { body: whole } = await service.generate(body);
    const { logprobs, done } = await stream(body);
    expect(logprobs).toEqual([whole.outputs[0].logprobs]);
    expect(done.outputs[0]).toMatchObject({ text: '', token_ids: [], logprobs: whole.outputs[0].logprobs });
  });

  it('refuses before it begins with a status, not an event', async () => {
    const response = await service.stream({ prompt: 'p', top_p: 7 });
    expect(response.status).toBe(422);
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
  });
});

describe('stop strings', () => {
  it.each([false, true])('end it across token borders and are left out (stream: %s)', async (streaming) => {
    const base = { prompt: 'find a stop', max_new_tokens: 60, temperature: 0, ignore_eos: true };
    const { body: free } = await service.generate(base);
    // Three characters from the middle: in the byte vocabulary each of them is a token of its own, or several.
    const stop = [...free.text].slice(20, 23).join('');
    const expected = free.text.slice(0, free.text.indexOf(stop));
    const body = { ...base, stop: ['never there', stop] };
    const output = streaming
      ? await stream(body).then(({ texts, reasons }) => ({ text: texts[0], finish_reason: reasons[0] }))
      : (await service.generate(body)).body.outputs[0];
    expect(output).toMatchObject({ text: expected, finish_reason: 'stop' });
  });

  it('give back what was held when the rest of the stop string never comes', async () => {
    const base = { prompt: 'hold it', max_new_tokens: 30, temperature: 0, ignore_eos: true };
    const { body: free } = await service.generate(base);
    const last = [...free.text].at(-1);
    const streamed = await stream({ ...base, stop: `${last}never` });
    expect(streamed.texts[0]).toBe(free.text);
    expect(streamed.reasons[0]).toBe('length');
  });
});
