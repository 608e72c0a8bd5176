import { describe, expect, it } from 'vitest';
import { SlidingQuantiles, WINDOW_SECONDS } from './sliding-quantiles.ts';

const MINUTE = 60_000;

describe('SlidingQuantiles', () => {
  it('is within 2.5% of the true quantiles, from microseconds to minutes', () => {
    const quantiles = new SlidingQuantiles();
    let state = 1;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    const values = Array.from({ length: 20_000 }, () => 10 ** (random() * 6 - 4));
    for (const value of values) quantiles.observe(value, 0);
    const sorted = values.toSorted((a, b) => a - b);
    const read = quantiles.read(0);
    if (read === null) throw new Error('it has observed');
    const shares = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
    for (const [name, share] of Object.entries(shares) as [keyof typeof shares, number][]) {
      const truth = sorted[Math.ceil(values.length * share) - 1] ?? 0;
      expect(Math.abs(read[name] / truth - 1), name).toBeLessThan(0.025);
    }
    expect(read.max).toBe(sorted.at(-1));
    expect(read.count).toBe(20_000);
    expect(read.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / values.length, 6);
  });

  it('says nothing of what it has not seen, and never more than the largest', () => {
    const quantiles = new SlidingQuantiles();
    expect(quantiles.read(0)).toBeNull();
    quantiles.observe(1, 0);
    expect(quantiles.read(0)).toEqual({
      count: 1,
      mean: 1,
      p50: expect.closeTo(1, 1),
      p95: expect.closeTo(1, 1),
      p99: expect.closeTo(1, 1),
      max: 1,
    });
    quantiles.observe(0, 0);
    quantiles.observe(1e9, 0);
    expect(quantiles.read(0)).toMatchObject({ count: 3, max: 1e9 });
  });

  it('forgets what is older than its window, also when nothing came for long', () => {
    const quantiles = new SlidingQuantiles();
    quantiles.observe(10, 0);
    quantiles.observe(1, 2 * MINUTE);
    expect(quantiles.read(3 * MINUTE)?.count).toBe(2);
    expect(quantiles.read(WINDOW_SECONDS * 1000 + 1)).toMatchObject({ count: 1, max: 1 });
    expect(quantiles.read(60 * MINUTE)).toBeNull();
    quantiles.observe(3, 60 * MINUTE);
    expect(quantiles.read(60 * MINUTE)).toMatchObject({ count: 1, max: 3 });
  });
});
