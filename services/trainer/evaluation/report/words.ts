/**
 * Metrics, differences and verdicts as people read them. Pure; for the page and for the terminal.
 */
import type { Difference, Evaluation, Metric } from '@slipway/shared/contracts/evaluation.ts';

interface MetricWords {
  readonly name: string;
  readonly meaning: string;
  readonly kind: 'share' | 'points' | 'number';
}

export const METRIC_WORDS: Readonly<Record<Metric, MetricWords>> = {
  exact_match: {
    name: 'exact match',
    meaning: 'the same words, but for case, punctuation and articles',
    kind: 'share',
  },
  token_f1: { name: 'token F1', meaning: 'words shared with the reference, as SQuAD counts them', kind: 'share' },
  rouge_l: { name: 'ROUGE-L', meaning: 'longest run of words in the same order, by rouge-score', kind: 'share' },
  bleu: { name: 'BLEU', meaning: 'shared word sequences, 0 to 100, by sacrebleu', kind: 'points' },
  distinct_1: { name: 'distinct-1', meaning: 'different words among all words of all answers', kind: 'share' },
  distinct_2: { name: 'distinct-2', meaning: 'different pairs of words among all', kind: 'share' },
  repetition: {
    name: 'repetition',
    meaning: 'four-word sequences that an answer had before; less is better',
    kind: 'share',
  },
  perplexity: {
    name: 'perplexity',
    meaning: 'of the reference after its prompt, per token; less is better',
    kind: 'number',
  },
  bits_per_byte: { name: 'bits per byte', meaning: 'the same whatever the tokenizer; less is better', kind: 'number' },
};

export function figureText(metric: Metric, value: number): string {
  const { kind } = METRIC_WORDS[metric];
  if (kind === 'share') return `${(value * 100).toFixed(1)} %`;
  return kind === 'points' ? value.toFixed(1) : numberText(value);
}

/** With its sign. */
export function changeText(metric: Metric, value: number): string {
  const { kind } = METRIC_WORDS[metric];
  const size = Math.abs(value);
  const sign = value === 0 ? '' : value < 0 ? '−' : '+';
  if (kind === 'share') return `${sign}${(size * 100).toFixed(1)}`;
  return `${sign}${kind === 'points' ? size.toFixed(1) : numberText(size)}`;
}

function numberText(value: number): string {
  if (value === 0) return '0';
  return value >= 1000 ? value.toExponential(2) : value.toFixed(value >= 100 ? 1 : 3);
}

export const VERDICT_WORDS: Readonly<Record<Difference['verdict'], string>> = {
  better: 'better',
  worse: 'worse',
  no_difference: 'no difference to be seen',
  too_few_samples: 'too few samples to tell',
  not_tested: 'not tested',
};

export function samplesText(count: number): string {
  return `${count} sample${count === 1 ? '' : 's'}`;
}

/** One sentence on how the two versions compare; undefined when there is one version only. */
export function comparisonText({ versions, differences, compared }: Evaluation): string | undefined {
  const [ours, theirs] = versions;
  if (ours === undefined || theirs === undefined) return undefined;
  const named = (verdict: Difference['verdict']) =>
    differences.filter((one) => one.verdict === verdict).map(({ metric }) => METRIC_WORDS[metric].name);
  const better = named('better');
  const worse = named('worse');
  const pair = `${ours.name} and ${theirs.name}`;
  if (better.length + worse.length === 0) {
    return named('too_few_samples').length > 0
      ? `${samplesText(compared)} ${compared === 1 ? 'is' : 'are'} too few to tell ${pair} apart.`
      : `On these ${samplesText(compared)} no difference between ${pair} can be seen.`;
  }
  const parts = [
    ...(better.length > 0 ? [`better in ${listed(better)}`] : []),
    ...(worse.length > 0 ? [`worse in ${listed(worse)}`] : []),
  ];
  return `${ours.name} is ${parts.join(', and ')} than ${theirs.name}.`;
}

function listed(names: readonly string[]): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
