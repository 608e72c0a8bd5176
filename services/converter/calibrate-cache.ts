/**
 * Chooses the steps of an int8 key/value cache: the built graph runs over a text with a float32 cache, and every channel's largest
 * magnitude there, with some room above it, becomes 127 steps. Knows no architecture.
 */
import { type GraphSource, measureCache, readProcessorLimits, threadsFor } from '@slipway/inference/engine';
import type { CacheScales } from './graph/frame.ts';

/** Another text may go a little further than this one did; beyond it, values are clipped. */
const HEADROOM = 1.15;
const SMALLEST_STEP = 1e-6;

/** `passages` are token ids; the longest decides the context that is reserved. */
export async function calibrateCache(
  source: GraphSource,
  passages: readonly (readonly number[])[],
  isRotary: boolean,
): Promise<CacheScales[]> {
  const contextLength = Math.max(...passages.map(({ length }) => length)) + 1;
  const threads = threadsFor(readProcessorLimits(null));
  const largest = await measureCache({ ...source, threads, slots: 1, contextLength }, passages, isRotary);
  const steps = largest.map((channels) => channels.map((value) => Math.max((value * HEADROOM) / 127, SMALLEST_STEP)));
  return Array.from({ length: steps.length / 2 }, (_, layer) => {
    const [key, value] = [steps[2 * layer], steps[2 * layer + 1]];
    if (!key || !value) throw new RangeError(`layer ${layer} was not measured`);
    return { key, value };
  });
}

/** As GraphSpec.cache_scales has them. */
export function joinScales(scales: readonly CacheScales[]): Uint8Array {
  const vectors = scales.flatMap(({ key, value }) => [key, value]);
  return Buffer.concat(vectors.map((vector) => new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength)));
}
