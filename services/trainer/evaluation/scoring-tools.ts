/**
 * The Python that scores answers, for those metrics that are computed by it.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Metric, TEXT_METRICS } from '@slipway/shared/contracts/evaluation.ts';
import { findKernelEnvironment } from '../environment/kernel-environment.ts';
import { type KernelCommand, kernelCommand } from '../supervisor/kernel-command.ts';
import { ofAnswers } from './choose-metrics.ts';

/**
 * `metrics`: null when none was named, and the data will tell which. Null when none of them needs it, or none was named and it is not
 * installed. AppError not_found when one that was named needs it and it is not installed.
 */
export async function scoringTools(metrics: readonly Metric[] | null): Promise<KernelCommand | null> {
  const needing = ofAnswers(metrics ?? TEXT_METRICS);
  if (needing.length === 0) return null;
  const found = await findKernelEnvironment(process.env);
  if (found !== undefined) return kernelCommand(found.python);
  if (metrics === null) return null;
  throw toolsMissing(needing);
}

export function toolsMissing(needing: readonly Metric[]): AppError {
  return new AppError(
    'not_found',
    `${needing.join(', ')}: these need Python's sacrebleu and rouge-score; run ./slipway setup trainer, or take only perplexity and bits_per_byte`,
  );
}
