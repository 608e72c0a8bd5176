/**
 * The Python that scores answers, for those metrics that are computed by it.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Metric, TEXT_METRICS } from '@slipway/shared/contracts/evaluation.ts';
import { findKernelEnvironment } from '../environment/kernel-environment.ts';
import { type KernelCommand, kernelCommand } from '../supervisor/kernel-command.ts';

/** Null when none of these needs it. AppError not_found when it is not installed. */
export async function scoringTools(metrics: readonly Metric[]): Promise<KernelCommand | null> {
  const needing = metrics.filter((metric) => TEXT_METRICS.some((one) => one === metric));
  if (needing.length === 0) return null;
  const found = await findKernelEnvironment(process.env);
  if (found !== undefined) return kernelCommand(found.python);
  throw new AppError(
    'not_found',
    `${needing.join(', ')}: these need Python's sacrebleu and rouge-score; run ./slipway setup trainer, or take only perplexity and bits_per_byte`,
  );
}
