/**
 * The one worker of a machine, for who works until something is done. Puts the real stages to work.
 */
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import type { ServeVersion } from '../evaluation/serve-version.ts';
import { lockFile } from './file-lock.ts';
import { trainerStages } from './trainer-stages.ts';
import { workRuns } from './work-runs.ts';
import { workerLock } from './worker-lock.ts';

/**
 * On one machine only the holder of the lock takes jobs: a lease need not outlast a worker that is busy. What another machine takes from
 * one goes on from its checkpoint.
 */
const LEASE_MILLISECONDS = 5000;

/**
 * Works on the queue until `isDone` says so, or until it is told to leave. Undefined when another process is the worker of this folder.
 * AppError and whatever a disk or queue throws.
 */
export function workRunsAlone(
  dataFolder: string,
  queue: JobQueue,
  signal: AbortSignal,
  isDone: () => Promise<boolean>,
  serve: ServeVersion,
): Promise<void> | undefined {
  const unlock = lockFile(workerLock(dataFolder));
  if (unlock === undefined) return undefined;
  const stages = trainerStages(dataFolder, serve);
  return workRuns({ dataFolder, queue, stages, signal, isDone, leaseMilliseconds: LEASE_MILLISECONDS }).finally(unlock);
}
