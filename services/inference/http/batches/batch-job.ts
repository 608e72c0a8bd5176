/**
 * What the queue holds of a batch: what was asked for, how far it is, what came of it; and how OpenAI tells of it. Pure.
 */
import type { BatchError, BatchObject } from '@slipway/shared/contracts/openai/batch.ts';
import { BATCH_ENDPOINTS } from '@slipway/shared/contracts/openai/batch-line.ts';
import type { Job } from '@slipway/shared/jobs/job-queue.ts';
import { z } from 'zod';

export const BATCH_QUEUE = 'batches';

const BatchPayload = z.object({
  input_file_id: z.string(),
  endpoint: z.enum(BATCH_ENDPOINTS),
  completion_window: z.string(),
  /** Milliseconds since the epoch, as are all times here. */
  expires_at: z.number(),
  metadata: z.record(z.string(), z.string()).nullable(),
});
export type BatchPayload = z.infer<typeof BatchPayload>;

const BatchProgress = z.object({
  /** Null until its lines have been looked at. */
  total: z.number().nullable().default(null),
  done: z.number().default(0),
  failed: z.number().default(0),
  in_progress_at: z.number().nullable().default(null),
  finalizing_at: z.number().nullable().default(null),
  cancelling_at: z.number().nullable().default(null),
});
export type BatchProgress = z.infer<typeof BatchProgress>;

const BatchOutcome = z.object({
  status: z.enum(['completed', 'failed', 'expired', 'cancelled']),
  progress: BatchProgress,
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  errors: z.array(
    z.object({ code: z.string(), message: z.string(), param: z.string().nullable(), line: z.number().nullable() }),
  ),
});
export type BatchOutcome = z.infer<typeof BatchOutcome>;

export function payloadOf({ payload }: Job): BatchPayload {
  return BatchPayload.parse(payload);
}

export function progressOf({ progress }: Job): BatchProgress {
  return BatchProgress.parse(progress ?? {});
}

export function batchObject(job: Job): BatchObject {
  const payload = payloadOf(job);
  const outcome = job.result === null ? undefined : BatchOutcome.parse(job.result);
  const progress = outcome?.progress ?? progressOf(job);
  const status = statusOf(job, progress, outcome);
  const endedAs = (one: BatchObject['status']) => (status === one ? seconds(job.endedAt) : null);
  const errors = outcome?.errors ?? (job.error === null ? [] : [queueError(job.error)]);
  return {
    id: job.id,
    object: 'batch',
    endpoint: payload.endpoint,
    errors: errors.length === 0 ? null : { object: 'list', data: errors },
    input_file_id: payload.input_file_id,
    completion_window: payload.completion_window,
    status,
    output_file_id: outcome?.output_file_id ?? null,
    error_file_id: outcome?.error_file_id ?? null,
    created_at: Math.floor(job.createdAt / 1000),
    in_progress_at: seconds(progress.in_progress_at),
    expires_at: Math.floor(payload.expires_at / 1000),
    finalizing_at: seconds(progress.finalizing_at),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: seconds(progress.cancelling_at),
    cancelled_at: endedAs('cancelled'),
    request_counts: {
      total: progress.total ?? 0,
      completed: progress.done - progress.failed,
      failed: progress.failed,
    },
    metadata: payload.metadata,
  };
}

function statusOf(job: Job, progress: BatchProgress, outcome: BatchOutcome | undefined): BatchObject['status'] {
  if (outcome !== undefined) return outcome.status;
  if (job.state === 'cancelled' || job.state === 'failed') return job.state;
  if (job.isCancelling) return 'cancelling';
  if (progress.finalizing_at !== null) return 'finalizing';
  return progress.in_progress_at === null ? 'validating' : 'in_progress';
}

/** Why it waits to be begun again, or could not be done. */
function queueError(message: string): BatchError {
  return { code: 'server_error', message, param: null, line: null };
}

function seconds(milliseconds: number | null): number | null {
  return milliseconds === null ? null : Math.floor(milliseconds / 1000);
}
