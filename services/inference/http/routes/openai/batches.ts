/**
 * `/v1/batches`: files of requests that are answered when there is room. Knows their fields; leaves the work to the worker. A batch of another
 * key is answered as if it did not exist.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { BatchCreateRequest, BatchListQuery, windowSeconds } from '@slipway/shared/contracts/openai/batch.ts';
import { pageOf } from '@slipway/shared/contracts/openai/file.ts';
import { parseOpenAiRequest } from '@slipway/shared/contracts/openai/parse-request.ts';
import { accessible } from '@slipway/shared/files-api/routes.ts';
import { readJsonBody } from '@slipway/shared/http/json-body.ts';
import { mayAccess, ownersSeenBy, type Principal } from '@slipway/shared/http/principal.ts';
import { unlessGone } from '@slipway/shared/http/unless-gone.ts';
import { tellWarnings } from '@slipway/shared/http/warnings.ts';
import type { Job, JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { newId } from '@slipway/shared/lib/ids.ts';
import { BATCH_QUEUE, type BatchPayload, batchObject } from '../../batches/batch-job.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';

const BODY_BYTES = 64 * 1024;

export function createBatchRoute({ batches, bodies, inFlight }: ServiceParts): Route {
  return unlessGone(async (context) => {
    const leave = inFlight.enter();
    try {
      const body = await bodies.read((grow) => readJsonBody(context.req.raw, BODY_BYTES, grow));
      const { request, warnings } = parseOpenAiRequest(BatchCreateRequest, body);
      const { files, jobs, wake } = await batches.get();
      const principal = context.get('principal');
      const input = accessible(files, request.input_file_id, principal, 'input_file_id');
      if (input.purpose !== 'batch') {
        const message = `${input.id} was sent for ${input.purpose}; send it with the purpose batch`;
        throw new AppError('invalid_field', message, { field: 'input_file_id' });
      }
      const seconds = windowSeconds(request.completion_window) ?? 0;
      const payload: BatchPayload = {
        input_file_id: input.id,
        endpoint: request.endpoint,
        completion_window: request.completion_window,
        expires_at: Date.now() + seconds * 1000,
        metadata: request.metadata ?? null,
      };
      const id = newId('batch', '_');
      const job = await jobs.enqueue({
        id,
        queue: BATCH_QUEUE,
        owner: principal.name,
        payload,
        priority: 'normal',
        maxAttempts: null,
      });
      wake();
      context.set('logged', { ...context.get('logged'), batch: id });
      tellWarnings(context, warnings);
      return context.json(batchObject(job));
    } finally {
      leave();
    }
  });
}

export function listBatchesRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { request } = parseOpenAiRequest(BatchListQuery, context.req.query());
    const { jobs } = await batches.get();
    const principal = context.get('principal');
    if (request.after !== undefined) await accessibleBatch(jobs, request.after, principal, 'after');
    const { after, limit } = request;
    const found = await jobs.list({ queue: BATCH_QUEUE, owner: ownersSeenBy(principal), after, limit: limit + 1 });
    return context.json(pageOf(found.map(batchObject), limit));
  };
}

export function batchRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { jobs } = await batches.get();
    return context.json(
      batchObject(await accessibleBatch(jobs, context.req.param('batch_id'), context.get('principal'))),
    );
  };
}

/** AppError conflict for one that has ended. */
export function cancelBatchRoute({ batches }: ServiceParts): Route {
  return async (context) => {
    const { jobs, wake } = await batches.get();
    const job = await accessibleBatch(jobs, context.req.param('batch_id'), context.get('principal'));
    if (job.endedAt !== null && job.state !== 'cancelled') {
      throw new AppError('conflict', `${job.id} is ${batchObject(job).status}, and can no longer be cancelled`);
    }
    const cancelled = await jobs.cancel(job.id);
    wake();
    return context.json(batchObject(cancelled ?? job));
  };
}

/** AppError not_found. `field`: where its id was given. */
async function accessibleBatch(
  jobs: JobQueue,
  id: string | undefined,
  principal: Principal,
  field = 'id',
): Promise<Job> {
  const job = await jobs.find(id ?? '');
  if (job?.queue === BATCH_QUEUE && mayAccess(principal, job.owner)) return job;
  throw new AppError('not_found', `there is no batch ${JSON.stringify(id?.slice(0, 100))}`, { field });
}
