/**
 * What samples of a process's memory say of its growth. Pure.
 */
import { round3 } from './rounds.ts';

export interface MemoryTrend {
  readonly first_mib: number;
  readonly last_mib: number;
  readonly most_mib: number;
  /** Of the straight line (least squares) through the second half of the samples. */
  readonly slope_mib_per_1000_requests: number;
}

/** `every`: how many requests lie between two samples. */
export function memoryTrend(samples: readonly number[], every: number): MemoryTrend {
  const late = samples.slice(Math.floor(samples.length / 2));
  const mean = late.reduce((sum, value) => sum + value, 0) / late.length;
  const middle = (late.length - 1) / 2;
  let [above, below] = [0, 0];
  for (const [at, value] of late.entries()) {
    above += (at - middle) * (value - mean);
    below += (at - middle) ** 2;
  }
  return {
    first_mib: round3(samples[0] ?? Number.NaN),
    last_mib: round3(samples.at(-1) ?? Number.NaN),
    most_mib: round3(Math.max(...samples)),
    slope_mib_per_1000_requests: round3((above / below / every) * 1000),
  };
}
