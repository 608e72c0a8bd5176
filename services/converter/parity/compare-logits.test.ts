import { describe, expect, it } from 'vitest';
import { LogitComparison } from './compare-logits.ts';

/** Logits whose softmax is these probabilities, moved by a constant that a softmax does not see. */
function logits(probabilities: readonly number[], shift = 0): Float32Array {
  return Float32Array.from(probabilities, (probability) => Math.log(probability) + shift);
}

describe('LogitComparison', () => {
  it('is what one works out by hand', () => {
    const comparison = new LogitComparison();
    comparison.add(logits([0.5, 0.25, 0.25]), logits([0.25, 0.5, 0.25]), 0);
    comparison.add(logits([0.1, 0.8, 0.1]), logits([0.2, 0.6, 0.2]), 1);
    const { maxLogitError, klDivergence, top1Agreement, perplexity, perplexitySource, positions } =
      comparison.summary();
    expect(maxLogitError).toBeCloseTo(Math.log(2), 6);
    const kl = [0.5 * Math.log(2) - 0.25 * Math.log(2), 0.2 * Math.log(0.5) + 0.8 * Math.log(0.8 / 0.6)];
    expect(klDivergence).toBeCloseTo(((kl[0] ?? 0) + (kl[1] ?? 0)) / 2, 6);
    expect(top1Agreement).toBe(0.5);
    expect(perplexity).toBeCloseTo(1 / Math.sqrt(0.25 * 0.6), 5);
    expect(perplexitySource).toBeCloseTo(1 / Math.sqrt(0.5 * 0.8), 5);
    expect(positions).toBe(2);
  });

  it('sees no divergence in a constant added to all logits, but the error', () => {
    const comparison = new LogitComparison();
    comparison.add(logits([0.5, 0.5]), logits([0.5, 0.5], 3), 1);
    expect(comparison.summary()).toMatchObject({ top1Agreement: 1, klDivergence: expect.closeTo(0, 6) });
    expect(comparison.summary().maxLogitError).toBeCloseTo(3, 6);
  });

  it('compares a position behind which nothing follows, without a loss for it', () => {
    const comparison = new LogitComparison();
    comparison.add(logits([0.5, 0.5]), logits([0.9, 0.1]), 0);
    comparison.add(logits([0.5, 0.5]), logits([0.1, 0.9]), undefined);
    expect(comparison.summary()).toMatchObject({ positions: 2, perplexity: expect.closeTo(1 / 0.9, 5) });
  });

  it('stands logits of hundreds, where an exponential alone would overflow', () => {
    const comparison = new LogitComparison();
    comparison.add(Float32Array.of(900, 100), Float32Array.of(900, 101), 0);
    expect(comparison.summary()).toMatchObject({ klDivergence: 0, perplexity: 1, maxLogitError: 1 });
  });

  it.each([
    ['first', [Number.NaN, 1, 2]],
    ['in the middle', [0, Number.NaN, 2]],
    ['last', [0, 1, Number.NaN]],
    ['everywhere', [Number.NaN, Number.NaN, Number.NaN]],
    ['missing', [0, 1]],
    ['infinite', [0, Number.POSITIVE_INFINITY, 2]],
  ])('takes a number that is none (%s) for an infinite error, whatever follows', (_where, row) => {
    const comparison = new LogitComparison();
    const source = Float32Array.of(0, 1, 2);
    comparison.add(source, Float32Array.from(row), 0);
    comparison.add(source, source, 0);
    expect(comparison.summary()).toMatchObject({
      maxLogitError: Number.POSITIVE_INFINITY,
      klDivergence: Number.POSITIVE_INFINITY,
    });
  });
});
