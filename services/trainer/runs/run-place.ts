/**
 * The parts of a data folder that all runs in it share: their queue, and the lock of the one worker. Puts the real stages to work.
 */
import { join } from 'node:path';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { trainerStages } from './trainer-stages.ts';
import { workRuns } from './work-runs.ts';
import { lockWorker } from './worker-lock.ts';

/** Only the holder of the lock takes jobs of this queue: a lease need not outlast a worker that is busy. */
const LEASE_MILLISECONDS = 5000;

export function openRunQueue(dataFolder: string): JobQueue {
  return openEmbeddedQueue(join(dataFolder, 'runs', 'jobs.db'));
}

/**
 * Works on the queue until `isDone` says so, or until it is told to leave. Undefined when another process is the worker of this folder.
 * AppError and whatever a disk or queue throws.
 */
export function workRunsAlone(
  dataFolder: string,
  queue: JobQueue,
  signal: AbortSignal,
  isDone: () => Promise<boolean>,
): Promise<void> | undefined {
  const unlock = lockWorker(join(dataFolder, 'runs', 'worker.lock'));
  if (unlock === undefined) return undefined;
  const stages = trainerStages(dataFolder);
  return workRuns({ dataFolder, queue, stages, signal, isDone, leaseMilliseconds: LEASE_MILLISECONDS }).finally(unlock);
}
