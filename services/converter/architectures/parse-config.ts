/**
 * A checkpoint's configuration against a family's schema, and what every family's sizes must satisfy. Knows no family.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import type { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';

/** AppError names the fields that are wrong: invalid_source where one is missing or no number, unsupported_source for an unknown variant. */
export function parseConfig<T extends z.ZodType>(checkpoint: Checkpoint, family: string, schema: T): z.infer<T> {
  const parsed = schema.safeParse(checkpoint.config);
  if (parsed.success) return parsed.data;
  const variant = parsed.error.issues.every(({ code }) => code === 'invalid_value');
  throw new AppError(
    variant ? 'unsupported_source' : 'invalid_source',
    `${checkpoint.label}: config.json is not that of a supported ${family} model: ${describeIssues(parsed.error)}`,
  );
}

/** AppError invalid_source when heads cannot be formed. */
export function requireHeads(
  checkpoint: Checkpoint,
  sizes: { hidden: number; heads: number; kvHeads: number; headDim: number; rotaryDim: number },
): void {
  const { hidden, heads, kvHeads, headDim, rotaryDim } = sizes;
  if (Number.isInteger(headDim) && heads % kvHeads === 0 && rotaryDim >= 2 && rotaryDim % 2 === 0) return;
  const turned = rotaryDim === headDim ? '' : ` (${rotaryDim} of each turned)`;
  throw new AppError(
    'invalid_source',
    `${checkpoint.label}: ${heads} heads of ${headDim}${turned} over ${kvHeads} key/value heads do not fit a hidden size of ${hidden}`,
  );
}
