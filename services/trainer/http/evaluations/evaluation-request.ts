/**
 * What `POST /runs/ID/evaluate` takes. Parses it and says in words what is wrong with it.
 */
import { METRICS, type Metric } from '@slipway/shared/contracts/evaluation.ts';
import { isModelReference } from '@slipway/shared/contracts/manifest.ts';
import { absent, type Field, integer, type ValuesOf } from '@slipway/shared/contracts/request-fields.ts';
import { z } from 'zod';

export const EVALUATION_FIELDS = {
  data: {
    schema: z.string().min(1).max(1000),
    allowed: 'the id of a file that was sent, or a path or pattern below DATA_ROOTS',
  },
  limit: integer(1, 1_000_000, null),
  metrics: {
    schema: z.array(z.enum(METRICS)).min(1).or(absent<readonly Metric[] | null>(null)),
    allowed: `an array of some of ${METRICS.join(', ')}`,
  },
  against: {
    schema: z.string().max(300).refine(isModelReference).or(absent(null)),
    allowed: 'another version: NAME, NAME@ALIAS or NAME@v001',
  },
  max_new_tokens: integer(1, 131_072, 128),
} as const satisfies Record<string, Field<unknown>>;

export type EvaluationFields = ValuesOf<typeof EVALUATION_FIELDS>;
