/**
 * The 4-bit grid of a block: scale and minimum with the least squared error, found by search and least squares.
 * Knows numbers only.
 */
import type { Blocks } from '../architectures/decoder-spec.ts';
import { ROUNDER } from './rounder.ts';

/** Parts of the full range tried: a clipped end often costs less than a coarser grid. */
const RANGES = [1, 0.95, 0.9, 0.85];
const LEVELS = 15;
/** Parts of a block's squared weights: what float32 can tell from an exact fit. */
const EXACT = 1e-12;
const SAMPLED_BLOCKS = 64;

/** Whether the first blocks are what a 4-bit format with a minimum (GGUF's Q4_1 and the like) can hold without loss. */
export function liesOnGrid(weights: Float32Array, size: number): boolean {
  const sample = weights.subarray(0, SAMPLED_BLOCKS * size);
  const { q, scales, minimums } = fitBlocks(sample, size);
  let error = 0;
  let squares = 0;
  for (const [i, weight] of sample.entries()) {
    const block = Math.floor(i / size);
    error += (weight - ((scales[block] as number) * (q[i] as number) + (minimums[block] as number))) ** 2;
    squares += weight * weight;
  }
  return error <= EXACT * squares;
}

/**
 * Blocks of `size` weights each: w ~ scale * q + minimum, q in 0..15. For every range tried, integers are rounded and scale and minimum
 * are then solved for by linear least squares (the refit of llama.cpp's k-quants); the best of them is kept.
 */
export function fitBlocks(weights: Float32Array, size: number): Blocks {
  const count = weights.length / size;
  const q = new Uint8Array(weights.length);
  const scales = new Float32Array(count);
  const minimums = new Float32Array(count);
  for (let block = 0; block < count; block++) {
    const from = block * size;
    const to = from + size;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    let sum = 0;
    let squares = 0;
    for (let i = from; i < to; i++) {
      const weight = weights[i] as number;
      if (weight < low) low = weight;
      if (weight > high) high = weight;
      sum += weight;
      squares += weight * weight;
    }
    const middle = (low + high) / 2;
    let best = Number.POSITIVE_INFINITY;
    let start = low;
    let inverse = 0;
    for (const range of RANGES) {
      const trialStart = middle - ((high - low) / 2) * range;
      const trialInverse = high === low ? 0 : LEVELS / ((high - low) * range);
      let levels = 0;
      let levelSquares = 0;
      let products = 0;
      for (let i = from; i < to; i++) {
        const weight = weights[i] as number;
        const level = nearestLevel(weight, trialStart, trialInverse);
        levels += level;
        levelSquares += level * level;
        products += weight * level;
      }
      const determinant = size * levelSquares - levels * levels;
      const scale = determinant === 0 ? 0 : (size * products - levels * sum) / determinant;
      const minimum = (sum - scale * levels) / size;
      const error =
        squares -
        2 * (scale * products + minimum * sum) +
        scale * (scale * levelSquares + 2 * minimum * levels) +
        size * minimum * minimum;
      if (error >= best) continue;
      best = error;
      start = trialStart;
      inverse = trialInverse;
      scales[block] = scale;
      minimums[block] = minimum;
      if (error <= EXACT * squares) break;
    }
    for (let i = from; i < to; i++) q[i] = nearestLevel(weights[i] as number, start, inverse);
  }
  return { q, scales, minimums };
}

function nearestLevel(weight: number, start: number, inverse: number): number {
  const level = (weight - start) * inverse + ROUNDER - ROUNDER;
  return Math.max(0, Math.min(level, LEVELS));
}
