/**
 * Quantiles of what was observed in the last five minutes, within 2.5% of the true value: counts in buckets that grow by 5%, in ten slices
 * of time of which the oldest is forgotten. Observing costs some ten nanoseconds. Knows nothing of what is measured.
 */

const SLICES = 10;
const SLICE_MILLISECONDS = 30_000;
const SMALLEST = 1e-5;
const GROWTH = 1.05;
const LOG_GROWTH = Math.log(GROWTH);
/** From 10 microseconds to more than an hour. */
const BUCKETS = 410;

export const WINDOW_SECONDS = (SLICES * SLICE_MILLISECONDS) / 1000;

interface Slice {
  /** Which slice of time since the beginning. */
  number: number;
  readonly counts: Uint32Array;
  count: number;
  sum: number;
  max: number;
}

export interface Quantiles {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export class SlidingQuantiles {
  readonly #slices: Slice[] = [];

  /** `now`: milliseconds on a clock that only goes forward. */
  observe(value: number, now = performance.now()): void {
    const slice = this.#current(Math.floor(now / SLICE_MILLISECONDS));
    const bucket = value <= SMALLEST ? 0 : Math.ceil(Math.log(value / SMALLEST) / LOG_GROWTH);
    const index = Math.min(bucket, BUCKETS - 1);
    slice.counts[index] = (slice.counts[index] ?? 0) + 1;
    slice.count++;
    slice.sum += value;
    if (value > slice.max) slice.max = value;
  }

  /** Null when nothing was observed in the window. */
  read(now = performance.now()): Quantiles | null {
    const oldest = Math.floor(now / SLICE_MILLISECONDS) - SLICES + 1;
    const slices = this.#slices.filter(({ number }) => number >= oldest);
    const count = slices.reduce((sum, slice) => sum + slice.count, 0);
    if (count === 0) return null;
    const max = Math.max(...slices.map((slice) => slice.max));
    const at = (share: number) => Math.min(quantile(slices, Math.ceil(count * share)), max);
    const mean = slices.reduce((sum, slice) => sum + slice.sum, 0) / count;
    return { count, mean, p50: at(0.5), p95: at(0.95), p99: at(0.99), max };
  }

  #current(number: number): Slice {
    const place = number % SLICES;
    const slice = this.#slices[place];
    if (slice?.number === number) return slice;
    const counts = slice?.counts.fill(0) ?? new Uint32Array(BUCKETS);
    const fresh = { number, counts, count: 0, sum: 0, max: 0 };
    this.#slices[place] = fresh;
    return fresh;
  }
}

/** The middle of the bucket that holds the observation of this rank, counted from 1. */
function quantile(slices: readonly Slice[], rank: number): number {
  let seen = 0;
  for (let index = 0; index < BUCKETS; index++) {
    for (const { counts } of slices) seen += counts[index] ?? 0;
    if (seen >= rank) return SMALLEST * GROWTH ** (index - 0.5);
  }
  return Number.POSITIVE_INFINITY;
}
