/**
 * The 4-bit grid of a block that holds zero: scale and whole zero point with the least squared error, found by search and least squares.
 * What integer kernels take as it is. Knows numbers only.
 */
import { ROUNDER } from './rounder.ts';

export interface ZeroPointBlocks {
  /** 0..15, one per weight. */
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  /** 0..15, one per block: the level that means zero. */
  readonly zeroPoints: Uint8Array;
}

/** Parts of the full range tried: a clipped end often costs less than a coarser grid; a wider one makes up for a rounded zero point. */
const RANGES = [1.05, 1, 0.95, 0.9, 0.85];
const LEVELS = 15;

/** Blocks of `size` weights each: w ~ scale * (q - zeroPoint). For every range tried the scale is solved for by least squares. */
export function fitZeroPoints(weights: Float32Array, size: number): ZeroPointBlocks {
  const count = weights.length / size;
  const q = new Uint8Array(weights.length);
  const scales = new Float32Array(count);
  const zeroPoints = new Uint8Array(count);
  for (let block = 0; block < count; block++) {
    const from = block * size;
    const to = from + size;
    let low = 0;
    let high = 0;
    for (let i = from; i < to; i++) {
      const weight = weights[i] as number;
      if (weight < low) low = weight;
      if (weight > high) high = weight;
    }
    const middle = (low + high) / 2;
    // The squared error is that of zeros less this.
    let best = -1;
    let inverse = 0;
    let zero = 0;
    for (const range of RANGES) {
      const trial = high === low ? 0 : LEVELS / ((high - low) * range);
      const trialZero = Math.min(LEVELS, Math.max(0, Math.round(LEVELS / 2 - middle * trial)));
      let squares = 0;
      let products = 0;
      for (let i = from; i < to; i++) {
        const weight = weights[i] as number;
        const level = nearestLevel(weight, trial, trialZero) - trialZero;
        squares += level * level;
        products += weight * level;
      }
      const saved = squares === 0 ? 0 : (products * products) / squares;
      if (saved <= best) continue;
      best = saved;
      inverse = trial;
      zero = trialZero;
      scales[block] = squares === 0 ? 0 : products / squares;
    }
    zeroPoints[block] = zero;
    for (let i = from; i < to; i++) q[i] = nearestLevel(weights[i] as number, inverse, zero);
  }
  return { q, scales, zeroPoints };
}

function nearestLevel(weight: number, inverse: number, zero: number): number {
  const level = weight * inverse + ROUNDER - ROUNDER + zero;
  return Math.max(0, Math.min(level, LEVELS));
}
