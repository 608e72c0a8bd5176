/**
 * Whether runs can be taken now: the service does not leave, and the queue answers. For `/readyz` and the metric that says the same.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { InFlight } from '@slipway/shared/http/in-flight.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { QUEUE } from '../runs/submit-run.ts';
import type { ServiceParts } from './service-parts.ts';

const QUEUE_MILLISECONDS = 2000;

/** AppError overloaded: what waited for a queue that is away would be done when its caller has long asked again. */
export async function requireQueue({ whyNotReady }: Pick<ServiceParts, 'whyNotReady'>): Promise<void> {
  const why = await whyNotReady();
  if (why !== undefined) throw new AppError('overloaded', `${why}; nothing has been done, ask again`);
}

/** Undefined when it is ready. A queue that says nothing for two seconds does not answer. */
export async function whyNotReady(inFlight: InFlight, queue: JobQueue, log: Logger): Promise<string | undefined> {
  if (inFlight.draining) return 'draining';
  const asked = queue.list({ queue: QUEUE, limit: 1 }).then(
    () => true,
    (error) => {
      log.warn({ err: error }, 'the queue does not answer');
      return false;
    },
  );
  const answers = await Promise.race([asked, sleep(QUEUE_MILLISECONDS, false, { ref: false })]);
  return answers ? undefined : 'the queue does not answer';
}
