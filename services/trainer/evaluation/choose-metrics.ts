/**
 * Which metrics are told of samples, and what a reader must know of that: plain text asks nothing, so that no answer can be compared. Pure.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type Evaluation,
  LIKELIHOOD_METRICS,
  METRICS,
  type Metric,
  TEXT_METRICS,
} from '@slipway/shared/contracts/evaluation.ts';
import type { Sample } from './read-samples.ts';

const QUESTIONS = 'questions with their answers: conversations, or prompts with completions';

/** `wanted`: null when none was named. AppError invalid_field when metrics were named that these samples have nothing for. */
export function chooseMetrics(
  wanted: readonly Metric[] | null,
  samples: readonly Sample[],
): Pick<Evaluation, 'notes'> & { readonly metrics: readonly Metric[] } {
  const metrics = wanted ?? METRICS;
  const texts = samples.filter(({ question }) => question.kind === 'text').length;
  if (texts === 0 || ofAnswers(metrics).length === 0) return { metrics, notes: [] };
  const others = samples.length - texts;
  if (others > 0) {
    const notes = [
      `${texts} of the ${samples.length} samples are plain text, which asks nothing: metrics of answers are of the other ${others}.`,
    ];
    return { metrics, notes };
  }
  if (wanted !== null) {
    throw new AppError(
      'invalid_field',
      `${ofAnswers(metrics).join(', ')}: these compare answers, and the data is plain text, which asks nothing. Give data that has ${QUESTIONS}; or take only ${LIKELIHOOD_METRICS.join(' and ')}`,
      { field: 'metrics' },
    );
  }
  const notes = [
    `The data is plain text, which asks nothing: ${ofAnswers(metrics).join(', ')} compare answers and were left out. They need ${QUESTIONS}.`,
  ];
  return { metrics: LIKELIHOOD_METRICS, notes };
}

export function isLikelihood(metric: Metric): boolean {
  return LIKELIHOOD_METRICS.some((one) => one === metric);
}

export function ofAnswers(metrics: readonly Metric[]): Metric[] {
  return metrics.filter((metric) => TEXT_METRICS.some((one) => one === metric));
}
