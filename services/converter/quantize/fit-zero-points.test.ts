import { describe, expect, it } from 'vitest';
import { gaussian } from '../testing/numbers.ts';
import { fitZeroPoints } from './fit-zero-points.ts';

const SIZE = 32;

function restored({ q, scales, zeroPoints }: ReturnType<typeof fitZeroPoints>): Float32Array {
  return Float32Array.from(q, (level, index) => {
    const block = Math.floor(index / SIZE);
    return (scales[block] ?? Number.NaN) * (level - (zeroPoints[block] ?? Number.NaN));
  });
}

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + (value - (b[index] ?? Number.NaN)) ** 2, 0);
}

describe('fitZeroPoints', () => {
  it('keeps levels and zero points in four bits, and every weight within a step of its own', () => {
    const weights = gaussian(300 * SIZE).map((weight, index) => weight + (index % 7 === 0 ? 1 : 0));
    const blocks = fitZeroPoints(weights, SIZE);
    expect(Math.max(...blocks.q)).toBeLessThanOrEqual(15);
    expect(Math.max(...blocks.zeroPoints)).toBeLessThanOrEqual(15);
    for (const [index, value] of restored(blocks).entries()) {
      // Clipped ends are at most a tenth of the range (two steps) away.
      const step = blocks.scales[Math.floor(index / SIZE)] ?? Number.NaN;
      expect(Math.abs(value - (weights[index] ?? Number.NaN))).toBeLessThan(2.5 * step);
    }
  });

  it('loses less than a scale alone, with zero in the middle of the levels', () => {
    const weights = gaussian(300 * SIZE);
    let usual = 0;
    for (let start = 0; start < weights.length; start += SIZE) {
      const own = weights.subarray(start, start + SIZE);
      const scale = Math.max(...own.map(Math.abs)) / 7;
      usual += squaredError(
        own,
        own.map((weight) => Math.round(weight / scale) * scale),
      );
    }
    expect(squaredError(weights, restored(fitZeroPoints(weights, SIZE)))).toBeLessThan(0.7 * usual);
  });

  it('keeps zero, and blocks on one side of it', () => {
    const zeros = new Float32Array(SIZE);
    expect(restored(fitZeroPoints(zeros, SIZE))).toEqual(zeros);
    const positive = Float32Array.from({ length: SIZE }, (_, index) => (index % 16) / 8);
    expect(squaredError(positive, restored(fitZeroPoints(positive, SIZE)))).toBeLessThan(1e-9);
    const negative = positive.map((weight) => -weight);
    expect(squaredError(negative, restored(fitZeroPoints(negative, SIZE)))).toBeLessThan(1e-9);
  });
});
