/**
 * Whether one version is better than another, by a paired bootstrap: the samples are drawn anew again and again, the same ones for both,
 * and 95 % of the differences say where the true one lies. Pure; the same samples give the same interval.
 */
import type { Difference, Metric } from '@slipway/shared/contracts/evaluation.ts';
import { type Measured, SUMMED_METRICS, type SummedMetric, summandsOf, sumOf } from './metric-sums.ts';

const DRAWS = 2000;
const OUTSIDE = 0.05;
/** With fewer an interval says nothing. */
const FEWEST_SAMPLES = 10;

/** `ours` and `theirs`: of the same samples, in the same order. `figures`: of all of them. */
export function differenceOf(
  metric: Metric,
  ours: { readonly figure: number; readonly samples: readonly Measured[] },
  theirs: { readonly figure: number; readonly samples: readonly Measured[] },
): Difference {
  const difference = ours.figure - theirs.figure;
  const untested = { metric, difference, low: null, high: null };
  const summed = SUMMED_METRICS[metric];
  const left = summed && summandsOf(summed, ours.samples);
  const right = summed && summandsOf(summed, theirs.samples);
  if (summed === undefined || left === undefined || right === undefined) return { ...untested, verdict: 'not_tested' };
  // A token of another tokenizer is another thing: bits per byte can be compared.
  if (metric === 'perplexity' && sumOf(left)[1] !== sumOf(right)[1]) return { ...untested, verdict: 'not_tested' };
  if (left.length < FEWEST_SAMPLES) return { ...untested, verdict: 'too_few_samples' };
  const { low, high } = interval(summed, left, right);
  return { metric, difference, low, high, verdict: verdictOf(low, high, summed.better) };
}

function verdictOf(low: number, high: number, better: SummedMetric['better']): Difference['verdict'] {
  if (low > 0) return better === 'higher' ? 'better' : 'worse';
  if (high < 0) return better === 'higher' ? 'worse' : 'better';
  return 'no_difference';
}

function interval(
  { figure }: SummedMetric,
  ours: readonly (readonly number[])[],
  theirs: readonly (readonly number[])[],
): { low: number; high: number } {
  const draw = randomIndices(ours.length);
  const differences = new Float64Array(DRAWS);
  for (let round = 0; round < DRAWS; round++) {
    const left: number[] = new Array(ours[0]?.length ?? 0).fill(0);
    const right: number[] = new Array(left.length).fill(0);
    for (let sample = 0; sample < ours.length; sample++) {
      const index = draw();
      add(left, ours[index]);
      add(right, theirs[index]);
    }
    differences[round] = figure(left) - figure(right);
  }
  differences.sort();
  const at = (share: number) => differences[Math.round(share * (DRAWS - 1))] ?? 0;
  return { low: at(OUTSIDE / 2), high: at(1 - OUTSIDE / 2) };
}

function add(sums: number[], summands: readonly number[] | undefined): void {
  for (let index = 0; index < sums.length; index++) sums[index] = (sums[index] ?? 0) + (summands?.[index] ?? 0);
}

/** Mulberry32, always from the same seed. */
function randomIndices(count: number): () => number {
  let state = 1;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * count);
  };
}
