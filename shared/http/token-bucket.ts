/**
 * The arithmetic of a token bucket: it holds a minute's worth, fills evenly, and may be in debt for what turned out to be more than was
 * reserved. Pure: the time is given, on any clock that does not jump. Knows nothing of requests or of who asks.
 */

export interface Bucket {
  /** What may be taken, as of `at`; below zero: a debt. */
  readonly level: number;
  /** Milliseconds. */
  readonly at: number;
}

const MINUTE = 60_000;
/** Sums of fractions of a token are not exact. */
const ROUNDING = 1e-6;

export function fullBucket(perMinute: number, now: number): Bucket {
  return { level: perMinute, at: now };
}

/** The bucket as it is now. A limit that has become lower takes effect at once. */
export function filled({ level, at }: Bucket, perMinute: number, now: number): Bucket {
  return { level: Math.min(perMinute, level + (Math.max(0, now - at) * perMinute) / MINUTE), at: now };
}

/** What more than a whole bucket wants counts as a whole bucket, so that it can be had at all. */
export function take(
  bucket: Bucket,
  amount: number,
  perMinute: number,
  now: number,
): { readonly bucket: Bucket; readonly taken: number } | { readonly waitMilliseconds: number } {
  const current = filled(bucket, perMinute, now);
  const taken = Math.min(amount, perMinute);
  if (current.level + ROUNDING >= taken) return { bucket: { level: current.level - taken, at: now }, taken };
  return { waitMilliseconds: ((taken - current.level) * MINUTE) / perMinute };
}

/** Gives back what was not used, or takes what was used beyond it. */
export function settle(bucket: Bucket, taken: number, used: number, perMinute: number, now: number): Bucket {
  const current = filled(bucket, perMinute, now);
  return { level: Math.min(perMinute, current.level + taken - used), at: now };
}

export function untilFull(bucket: Bucket, perMinute: number, now: number): number {
  return ((perMinute - filled(bucket, perMinute, now).level) * MINUTE) / perMinute;
}
