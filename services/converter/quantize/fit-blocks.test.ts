import { describe, expect, it } from 'vitest';
import { gaussian, largestDifference } from '../testing/numbers.ts';
import { fitBlocks, liesOnGrid } from './fit-blocks.ts';

const SIZE = 32;

function restored({ q, scales, minimums }: ReturnType<typeof fitBlocks>): Float32Array {
  return Float32Array.from(q, (level, index) => {
    const block = Math.floor(index / SIZE);
    return (scales[block] ?? Number.NaN) * level + (minimums[block] ?? Number.NaN);
  });
}

function squaredError(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, value, index) => sum + (value - (b[index] ?? Number.NaN)) ** 2, 0);
}

/** The usual way: the grid from the smallest to the largest weight. */
function roundedToRange(weights: Float32Array): Float32Array {
  const [low, high] = [Math.min(...weights), Math.max(...weights)];
  const scale = (high - low) / 15;
  return weights.map((weight) => low + Math.round((weight - low) / scale) * scale);
}

describe('fitBlocks', () => {
  it('loses less in every block than rounding between its ends, and much less over all', () => {
    const weights = gaussian(200 * SIZE);
    const fitted = restored(fitBlocks(weights, SIZE));
    let [ours, usual] = [0, 0];
    for (let start = 0; start < weights.length; start += SIZE) {
      const own = weights.subarray(start, start + SIZE);
      const error = squaredError(own, fitted.subarray(start, start + SIZE));
      const reference = squaredError(own, roundedToRange(own));
      expect(error).toBeLessThanOrEqual(reference + 1e-5);
      ours += error;
      usual += reference;
    }
    expect(ours).toBeLessThan(0.93 * usual);
  });

  it('keeps a block that lies on a grid', () => {
    const weights = Float32Array.from({ length: 2 * SIZE }, (_, index) => -0.75 + 0.125 * ((index * 7) % 16));
    const blocks = fitBlocks(weights, SIZE);
    expect(largestDifference(restored(blocks), weights)).toBeLessThan(1e-6);
    expect(Math.max(...blocks.q)).toBe(15);
  });

  it('keeps blocks of one value, zero among them', () => {
    const weights = Float32Array.from([0, 3.5, -1e-7, 1e6].flatMap((value) => Array<number>(SIZE).fill(value)));
    const blocks = fitBlocks(weights, SIZE);
    expect(largestDifference(restored(blocks), weights)).toBe(0);
  });
});

describe('liesOnGrid', () => {
  it('knows what a 4-bit format held from what was rounded nowhere', () => {
    const weights = gaussian(100 * SIZE);
    expect(liesOnGrid(weights, SIZE)).toBe(false);
    expect(liesOnGrid(restored(fitBlocks(weights, SIZE)), SIZE)).toBe(true);
  });
});
