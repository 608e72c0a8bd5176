/**
 * Every metric that is made of samples: what of a sample adds up, and the figure of the sums. So that the figure of any selection of
 * samples can be told, which is what a comparison draws. Pure.
 */
import type { Metric } from '@slipway/shared/contracts/evaluation.ts';
import type { Likelihood } from './ask-version.ts';
import type { PairScores } from './score-answers.ts';

export interface Measured {
  readonly scores: PairScores | null;
  readonly likelihood: Likelihood | null;
}

export interface SummedMetric {
  readonly better: 'higher' | 'lower';
  /** The same number of summands for every sample; null when it was not measured. */
  summands(sample: Measured): readonly number[] | null;
  figure(sums: readonly number[]): number;
}

const NATS_PER_BIT = Math.LN2;

/** `distinct_1` and `distinct_2` are not among them: which words are new depends on all the others. */
export const SUMMED_METRICS: Readonly<Partial<Record<Metric, SummedMetric>>> = {
  exact_match: meanOf('exact_match', 'higher'),
  token_f1: meanOf('token_f1', 'higher'),
  rouge_l: meanOf('rouge_l', 'higher'),
  repetition: meanOf('repetition', 'lower'),
  bleu: { better: 'higher', summands: ({ scores }) => scores?.bleu_counts ?? null, figure: bleuOf },
  perplexity: {
    better: 'lower',
    summands: ({ likelihood }) => likelihood && [likelihood.nats, likelihood.tokens],
    figure: ([nats = 0, tokens = 0]) => Math.exp(nats / tokens),
  },
  bits_per_byte: {
    better: 'lower',
    summands: ({ likelihood }) => likelihood && [likelihood.nats, likelihood.bytes],
    figure: ([nats = 0, bytes = 0]) => nats / NATS_PER_BIT / bytes,
  },
};

function meanOf(
  name: 'exact_match' | 'token_f1' | 'rouge_l' | 'repetition',
  better: SummedMetric['better'],
): SummedMetric {
  return {
    better,
    summands: ({ scores }) => scores && [scores[name], 1],
    figure: ([sum = 0, count = 0]) => sum / count,
  };
}

/** Undefined when one of the samples was not measured. */
export function summandsOf(
  metric: SummedMetric,
  samples: readonly Measured[],
): readonly (readonly number[])[] | undefined {
  const all = samples.map((sample) => metric.summands(sample));
  return all.every((one) => one !== null) ? all : undefined;
}

export function sumOf(summands: readonly (readonly number[])[]): number[] {
  const sums = new Array<number>(summands[0]?.length ?? 0).fill(0);
  for (const one of summands) for (const [index, value] of one.entries()) sums[index] = (sums[index] ?? 0) + value;
  return sums;
}

/** Of a corpus, as sacrebleu has it: 4-grams, exponential smoothing, no effective order. */
function bleuOf(sums: readonly number[]): number {
  const [words = 0, wanted = 0] = sums;
  const correct = sums.slice(2, 6);
  const total = sums.slice(6, 10);
  if (correct.every((count) => count === 0)) return 0;
  let smoothing = 1;
  let logs = 0;
  for (const [index, count] of total.entries()) {
    if (count === 0) return 0;
    const matching = correct[index] ?? 0;
    if (matching === 0) smoothing *= 2;
    logs += Math.log(matching === 0 ? 100 / (smoothing * count) : (100 * matching) / count);
  }
  const brevity = words < wanted ? Math.exp(1 - wanted / words) : 1;
  return brevity * Math.exp(logs / total.length);
}
