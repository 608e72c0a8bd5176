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
  const faults = [
    { is: !Number.isInteger(headDim), why: `${heads} heads do not divide a hidden size of ${hidden}` },
    { is: heads % kvHeads !== 0, why: `${kvHeads} key/value heads do not divide ${heads} heads` },
    {
      is: rotaryDim < 2 || rotaryDim % 2 !== 0,
      why: `${rotaryDim} of ${headDim} numbers of a head would be turned, which are no pairs`,
    },
  ];
  const fault = faults.find(({ is }) => is);
  if (fault) throw new AppError('invalid_source', `${checkpoint.label}: ${fault.why}`);
}
