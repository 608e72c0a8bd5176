/** Which answers are kept, for whom, and how many. */
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import { generateRequestParser } from '@slipway/shared/contracts/generate.ts';
import { describe, expect, it } from 'vitest';
import { AnswerCache, type AskedAnswer } from './answer-cache.ts';

const parse = generateRequestParser({ maxNewTokens: 512, defaultMaxNewTokens: 64 });
const cache = new AnswerCache(1_000_000);

function asked(request: object, more: Partial<AskedAnswer> = {}): AskedAnswer {
  return {
    caller: 'app',
    model: 'm',
    fingerprint: 'fp',
    request: parse({ prompt: 'a', temperature: 0, ...request }),
    ...more,
  };
}

function answer(text: string, finish_reason: 'eos' | 'cancelled' = 'eos'): GenerateAnswer {
  return {
    id: 'gen-1',
    model: 'm',
    text,
    outputs: [{ index: 0, text, token_ids: [1], finish_reason }],
    usage: { prompt_tokens: 1, completion_tokens: 1, prompt_truncated: false },
    timings: { queue_ms: 1, time_to_first_token_ms: 1, total_ms: 1, tokens_per_second: 1, cached_prompt_tokens: 0 },
    seed: 1,
    request_id: 'req-1',
    system_fingerprint: 'fp',
  };
}

describe('a key', () => {
  it('is there for what is deterministic: greedy, or with a seed', () => {
    expect(cache.keyOf(asked({}))).toBeDefined();
    expect(cache.keyOf(asked({ temperature: 1, seed: 7 }))).toBeDefined();
    expect(cache.keyOf(asked({ temperature: 1 }))).toBeUndefined();
  });

  it('is the same for the same request, streamed or not, whatever the order of its fields', () => {
    const key = cache.keyOf(asked({ stop: ['x'], seed: 1 }));
    expect(cache.keyOf(asked({ seed: 1, stop: 'x', stream: true }))).toBe(key);
    expect(cache.keyOf(asked({ seed: 1, stop: ['x'], model: 'm@v001' }))).toBe(key);
    const { request } = asked({ stop: ['x'], seed: 1 });
    const reversed = Object.fromEntries(Object.entries(request).reverse()) as typeof request;
    expect(cache.keyOf(asked({}, { request: reversed }))).toBe(key);
  });

  it('is another for whatever may change the answer, and for another caller', () => {
    const others = [
      asked({}),
      asked({ prompt: 'b' }),
      asked({ prompt: [1] }),
      asked({ max_new_tokens: 3 }),
      asked({ stop: 'x' }),
      asked({ seed: 1 }),
      asked({ logprobs: 1 }),
      asked({ logit_bias: { 1: 5 } }),
      asked({ temperature: 0.5, seed: 1 }),
      asked({}, { caller: 'other' }),
      asked({}, { model: 'n' }),
      asked({}, { fingerprint: 'fp2' }),
      asked({ response_format: { type: 'json_schema', json_schema: { schema: { properties: { a: {}, b: {} } } } } }),
      asked({ response_format: { type: 'json_schema', json_schema: { schema: { properties: { b: {}, a: {} } } } } }),
    ];
    expect(new Set(others.map((one) => cache.keyOf(one))).size).toBe(others.length);
  });
});

describe('answers', () => {
  it('come back as they were, each time as an object of its own', () => {
    cache.set('k', answer('é😀'));
    const kept = cache.get('k');
    expect(kept).toEqual(answer('é😀'));
    expect(cache.get('k')).not.toBe(kept);
    expect(cache.get('other')).toBeUndefined();
  });

  it('that were cut off are not kept', () => {
    cache.set('cut', answer('half', 'cancelled'));
    expect(cache.get('cut')).toBeUndefined();
  });

  it('never take more than they may; what was asked for longest ago goes first', () => {
    const small = new AnswerCache(100_000);
    for (let index = 0; index < 1000; index++) {
      small.set(`k${index}`, answer('x'.repeat(1000)));
      small.get('k0');
      expect(small.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(small.bytes).toBeGreaterThan(90_000);
    expect([small.get('k0'), small.get('k999')].every((kept) => kept !== undefined)).toBe(true);
    expect(small.get('k1')).toBeUndefined();
  });

  it('that are large beside all others are not kept', () => {
    const small = new AnswerCache(100_000);
    small.set('small', answer('x'));
    small.set('large', answer('x'.repeat(20_000)));
    expect([small.get('small') === undefined, small.get('large')]).toEqual([false, undefined]);
  });
});
