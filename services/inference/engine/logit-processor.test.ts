import { describe, expect, it } from 'vitest';
import type { Sampling } from './contract.ts';
import { createLogitProcessor, type ProcessedRequest } from './logit-processor.ts';

const PLAIN: Sampling = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };
const FORBIDDEN = -Infinity;

function processor(sampling: Partial<Sampling>, more: Partial<ProcessedRequest> = {}) {
  const made = createLogitProcessor({
    sampling: { ...PLAIN, ...sampling },
    prompt: [],
    endTokenIds: [],
    minNewTokens: 0,
    ...more,
  });
  if (!made) throw new Error('nothing to process');
  return {
    apply(...values: number[]): number[] {
      const row = Float32Array.from(values);
      made.apply(row);
      return [...row];
    },
    accept(...tokens: number[]) {
      for (const token of tokens) made.accept(token);
    },
  };
}

it('is not there when nothing is asked for', () => {
  expect(createLogitProcessor({ sampling: PLAIN, prompt: [1], endTokenIds: [0], minNewTokens: 0 })).toBeUndefined();
});

describe('the repetition penalty', () => {
  it('divides positive and multiplies negative logits, once per token of the prompt and the answer', () => {
    const penalty = processor({ repetitionPenalty: 2 }, { prompt: [0, 1, 1] });
    expect(penalty.apply(2, -2, 3, 1)).toEqual([1, -4, 3, 1]);
    penalty.accept(3, 3);
    expect(penalty.apply(2, -2, 3, 1)).toEqual([1, -4, 3, 0.5]);
  });
});

describe('presence and frequency penalties', () => {
  it('count what was generated, not the prompt', () => {
    const penalty = processor({ presencePenalty: 1, frequencyPenalty: 0.5 }, { prompt: [2] });
    expect(penalty.apply(4, 4, 4)).toEqual([4, 4, 4]);
    penalty.accept(0, 0, 1);
    expect(penalty.apply(4, 4, 4)).toEqual([2, 2.5, 4]);
  });
});

describe('biases', () => {
  it('are added to tokens, and ids outside the vocabulary change nothing', () => {
    expect(
      processor({
        bias: [
          { token: 1, bias: -100 },
          { token: 9, bias: 5 },
        ],
      }).apply(0, 1, 2),
    ).toEqual([0, -99, 2]);
  });

  it('of a run count only where the run is about to be complete, the prompt included', () => {
    const words = processor({ sequenceBias: [{ tokens: [0, 1, 2], bias: FORBIDDEN }] }, { prompt: [5, 0] });
    expect(words.apply(1, 1, 1)).toEqual([1, 1, 1]);
    words.accept(1);
    expect(words.apply(1, 1, 1)).toEqual([1, 1, FORBIDDEN]);
    words.accept(0);
    expect(words.apply(1, 1, 1)).toEqual([1, 1, 1]);
    words.accept(1);
    expect(words.apply(1, 1, 1)).toEqual([1, 1, FORBIDDEN]);
  });

  it('of a run of one token always count', () => {
    expect(processor({ sequenceBias: [{ tokens: [1], bias: -3 }] }).apply(1, 1)).toEqual([1, -2]);
  });
});

describe('the post-stop penalty', () => {
  it('grows with every token after the marker, and the prompt has none', () => {
    const stop = processor({ postStop: { markers: [[1, 1]], penalty: 5 } }, { prompt: [1, 1], endTokenIds: [0] });
    stop.accept(1);
    expect(stop.apply(0, 0, 0)).toEqual([0, 0, 0]);
    stop.accept(1);
    expect(stop.apply(0, 0, 0)).toEqual([5, 0, 0]);
    stop.accept(2);
    expect(stop.apply(0, 0, 0)).toEqual([10, 0, 0]);
  });
});

describe('the fewest tokens', () => {
  it('keep every end away until then', () => {
    const fewest = processor({}, { minNewTokens: 2, endTokenIds: [0, 2] });
    expect(fewest.apply(1, 1, 1)).toEqual([FORBIDDEN, 1, FORBIDDEN]);
    fewest.accept(1, 1);
    expect(fewest.apply(1, 1, 1)).toEqual([1, 1, 1]);
  });
});
