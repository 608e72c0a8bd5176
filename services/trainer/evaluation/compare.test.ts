/** What is called better, worse or neither: on samples made so that the answer is known. */
import { describe, expect, it } from 'vitest';
import { differenceOf } from './compare.ts';
import { type Measured, SUMMED_METRICS, summandsOf, sumOf } from './metric-sums.ts';

const COUNTS = [6, 6, 4, 3, 2, 1, 6, 5, 4, 3];

function scored(token_f1: number): Measured {
  const scores = { exact_match: 0, token_f1, rouge_l: 0, bleu: 0, repetition: 0, bleu_counts: COUNTS };
  return { scores, likelihood: null };
}

function surprised(nats: number, tokens = 10): Measured {
  return { scores: null, likelihood: { nats, tokens, bytes: 40, perplexity: Math.exp(nats / tokens) } };
}

const of = (samples: readonly Measured[], figure = 0) => ({ figure, samples });
const many = (make: (index: number) => Measured, count = 60) =>
  Array.from({ length: count }, (_, index) => make(index));
/** Between 0 and 1, spread, the same each time. */
const spread = (index: number) => (index * 0.618) % 1;

describe('two versions', () => {
  it('with the same samples differ by nothing', () => {
    const samples = many((index) => scored(spread(index)));
    expect(differenceOf('token_f1', of(samples, 0.5), of(samples, 0.5))).toEqual({
      metric: 'token_f1',
      difference: 0,
      low: 0,
      high: 0,
      verdict: 'no_difference',
    });
  });

  it('are told apart by a small gain on every sample, however spread the samples are', () => {
    const theirs = many((index) => scored(spread(index)));
    const ours = many((index) => scored(spread(index) + 0.02 + 0.01 * spread(index * 7)));
    const { low, high, verdict } = differenceOf('token_f1', of(ours, 0.525), of(theirs, 0.5));
    expect(verdict).toBe('better');
    expect(low).toBeGreaterThan(0.02);
    expect(high).toBeLessThan(0.03);
    expect(differenceOf('token_f1', of(theirs, 0.5), of(ours, 0.525)).verdict).toBe('worse');
  });

  it('are not told apart by gains and losses that could be chance', () => {
    const theirs = many((index) => scored(spread(index)));
    const ours = many((index) => scored(spread(index) + spread(index * 3) - 0.5));
    const { low, high, verdict } = differenceOf('token_f1', of(ours), of(theirs));
    expect(verdict).toBe('no_difference');
    expect(low).toBeLessThan(0);
    expect(high).toBeGreaterThan(0);
  });

  it('of which one is less surprised: that one is better', () => {
    const theirs = many((index) => surprised(10 + spread(index)));
    const ours = many((index) => surprised(9 + spread(index)));
    for (const metric of ['perplexity', 'bits_per_byte'] as const) {
      const found = differenceOf(metric, of(ours, 2.5), of(theirs, 2.8));
      expect(found.verdict).toBe('better');
      expect(found.high).toBeLessThan(0);
    }
  });

  it('with other tokens are compared by bits per byte, not by perplexity', () => {
    const theirs = many((index) => surprised(10 + spread(index), 10));
    const ours = many((index) => surprised(9 + spread(index), 8));
    expect(differenceOf('perplexity', of(ours), of(theirs)).verdict).toBe('not_tested');
    expect(differenceOf('bits_per_byte', of(ours), of(theirs)).verdict).toBe('better');
  });

  it('on a handful of samples are not judged', () => {
    const found = differenceOf(
      'token_f1',
      of(
        many(() => scored(1), 9),
        1,
      ),
      of(
        many(() => scored(0), 9),
        0,
      ),
    );
    expect(found).toMatchObject({ difference: 1, low: null, high: null, verdict: 'too_few_samples' });
  });

  it('are not judged by what is no sum of samples', () => {
    expect(
      differenceOf(
        'distinct_1',
        of(
          many(() => scored(1)),
          0.5,
        ),
        of(
          many(() => scored(0)),
          0.25,
        ),
      ),
    ).toMatchObject({
      difference: 0.25,
      verdict: 'not_tested',
    });
  });
});

describe('BLEU of counts', () => {
  const { bleu } = SUMMED_METRICS;
  const figure = (counts: readonly number[]) => bleu?.figure(counts) ?? Number.NaN;

  it('is 100 for the reference itself, 0 for nothing in common, and less for what is too short', () => {
    expect(figure([6, 6, 6, 5, 4, 3, 6, 5, 4, 3])).toBeCloseTo(100, 10);
    expect(figure([6, 6, 0, 0, 0, 0, 6, 5, 4, 3])).toBe(0);
    expect(figure([5, 10, 5, 4, 3, 2, 5, 4, 3, 2])).toBeCloseTo(100 * Math.exp(-1), 10);
  });

  it('smooths what does not match by halving, as sacrebleu does', () => {
    const precisions = [4 / 6, 1 / 5, 1 / 2 / 4, 1 / 4 / 3];
    const mean = precisions.reduce((product, one) => product * one, 1) ** 0.25;
    expect(figure([6, 6, 4, 1, 0, 0, 6, 5, 4, 3])).toBeCloseTo(100 * mean, 10);
  });

  it('is of the sums, not a mean', () => {
    if (bleu === undefined) throw new Error('there is no BLEU');
    const summands = summandsOf(bleu, [scored(0), scored(0)]) ?? [];
    expect(sumOf(summands)).toEqual(COUNTS.map((count) => 2 * count));
    expect(summandsOf(bleu, [scored(0), surprised(1)])).toBeUndefined();
  });
});
