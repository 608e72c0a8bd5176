/**
 * Batches as OpenAI's API takes and tells them. Knows nothing of how one is worked on.
 */
import { z } from 'zod';
import { BATCH_ENDPOINTS } from './batch-line.ts';
import { listOf } from './file.ts';
import { Metadata } from './metadata.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const LONGEST_SECONDS = 7 * 86_400;
const WINDOW = `must be a time of at most 7 days, such as "24h"`;

export const BatchCreateRequest = z.object({
  input_file_id: z.string().min(1).max(200),
  endpoint: z.enum(BATCH_ENDPOINTS, { error: `must be ${BATCH_ENDPOINTS.join(', ')}` }),
  completion_window: z
    .string()
    .refine((text) => windowSeconds(text) !== undefined, WINDOW)
    .default('24h'),
  metadata: Metadata.optional(),
});

/** `24h`, `30m`: in seconds; undefined when it is no such time. */
export function windowSeconds(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (SECONDS[unit] ?? Number.NaN);
  return seconds >= 1 && seconds <= LONGEST_SECONDS ? seconds : undefined;
}

export const BatchListQuery = z.object({
  after: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

const BatchError = z.object({
  code: z.string(),
  message: z.string(),
  param: z.string().nullable(),
  line: z.int().nullable(),
});
export type BatchError = z.infer<typeof BatchError>;

const seconds = z.int().nullable();

export const BatchObject = z.object({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.string(),
  errors: z.object({ object: z.literal('list'), data: z.array(BatchError) }).nullable(),
  input_file_id: z.string(),
  completion_window: z.string(),
  status: z.enum([
    'validating',
    'failed',
    'in_progress',
    'finalizing',
    'completed',
    'expired',
    'cancelling',
    'cancelled',
  ]),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: z.int(),
  in_progress_at: seconds,
  expires_at: z.int(),
  finalizing_at: seconds,
  completed_at: seconds,
  failed_at: seconds,
  expired_at: seconds,
  cancelling_at: seconds,
  cancelled_at: seconds,
  request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
  metadata: z.record(z.string(), z.string()).nullable(),
});
export const BatchList = listOf(BatchObject);
export type BatchObject = z.infer<typeof BatchObject>;
