/**
 * The 4-bit grid of a block: scale and minimum with the least squared error, found by search and least squares.
 * Knows numbers only.
 */
import type { Blocks } from '../architectures/decoder-spec.ts';

/** Parts of the full range tried: a clipped end often costs less than a coarser grid. */
const RANGES = [1, 0.95, 0.9, 0.85];
const LEVELS = 15;

/**
 * Blocks of `size` weights each: w ~ scale * q + minimum, q in 0..15. For every range tried, integers are rounded and scale and minimum
 * are then solved for by linear least squares (the refit of llama.cpp's k-quants); the best of them is kept.
 */
export function fitBlocks(weights: Float32Array, size: number): Blocks {
  const count = weights.length / size;
  const blocks = {
    q: new Uint8Array(weights.length),
    scales: new Float32Array(count),
    minimums: new Float32Array(count),
  };
  const trial = new Uint8Array(size);
  for (let block = 0; block < count; block++) {
    const own = weights.subarray(block * size, (block + 1) * size);
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (const weight of own) {
      if (weight < low) low = weight;
      if (weight > high) high = weight;
    }
    let best = Number.POSITIVE_INFINITY;
    for (const range of RANGES) {
      const middle = (low + high) / 2;
      const start = middle - ((high - low) / 2) * range;
      const fitted = fit(own, trial, start, ((high - low) * range) / LEVELS);
      if (fitted.error >= best) continue;
      best = fitted.error;
      blocks.q.set(trial, block * size);
      blocks.scales[block] = fitted.scale;
      blocks.minimums[block] = fitted.minimum;
    }
  }
  return blocks;
}

/** Rounds `own` to the grid into `q`, then solves for the scale and minimum those integers are best with. */
function fit(
  own: Float32Array,
  q: Uint8Array,
  minimum: number,
  scale: number,
): { scale: number; minimum: number; error: number } {
  const n = own.length;
  const inverse = scale === 0 ? 0 : 1 / scale;
  let sumQ = 0;
  let sumQQ = 0;
  let sumW = 0;
  let sumWQ = 0;
  let sumWW = 0;
  for (let i = 0; i < n; i++) {
    const weight = own[i] as number;
    const level = Math.min(LEVELS, Math.max(0, Math.round((weight - minimum) * inverse)));
    q[i] = level;
    sumQ += level;
    sumQQ += level * level;
    sumW += weight;
    sumWQ += weight * level;
    sumWW += weight * weight;
  }
  const determinant = n * sumQQ - sumQ * sumQ;
  const fitted = determinant === 0 ? 0 : (n * sumWQ - sumQ * sumW) / determinant;
  const base = (sumW - fitted * sumQ) / n;
  const error =
    sumWW - 2 * fitted * sumWQ - 2 * base * sumW + fitted * fitted * sumQQ + 2 * fitted * base * sumQ + n * base * base;
  return { scale: fitted, minimum: base, error };
}
