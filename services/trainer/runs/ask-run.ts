/**
 * What people ask of a run: to pause, or to be cancelled. Whoever works on it hears the wish between two steps; what nobody works on is
 * changed here.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { aloneWithRun } from './alone-with-run.ts';
import { OpenRun } from './open-run.ts';
import { forgetWish, readRun, readWish, runFolder, type Wish, writeWish } from './run-folder.ts';
import type { RunRecord } from './run-record.ts';
import { nextState } from './run-state.ts';
import { jobIdOf } from './submit-run.ts';

/** Resolves when it is asked, which may be before it has happened. AppError not_found, or conflict when it comes too late. */
export function askRun(dataFolder: string, queue: JobQueue, id: string, wish: Wish): Promise<RunRecord> {
  return aloneWithRun(dataFolder, id, () => ask(dataFolder, queue, id, wish));
}

async function ask(dataFolder: string, queue: JobQueue, id: string, wish: Wish): Promise<RunRecord> {
  const found = await readRun(dataFolder, id);
  const event = wish === 'paused' ? 'pause_asked' : 'cancel_asked';
  if (nextState(found.state, event) === undefined) {
    throw new AppError('conflict', `${id} is ${found.state} and can no longer be ${wish}`);
  }
  const folder = runFolder(dataFolder, id);
  if (wish === 'paused' && (await readWish(folder)) === 'cancelled') {
    throw new AppError('conflict', `${id} is being cancelled and can no longer be ${wish}`);
  }
  await writeWish(folder, wish);
  if (found.state === 'paused') return settle(dataFolder, id, wish);
  if (wish === 'cancelled' && found.state === 'queued') {
    const job = await queue.cancel(jobIdOf(found));
    if (job === undefined || job.state === 'cancelled') return settle(dataFolder, id, wish);
  }
  return found;
}

/** Nobody works on it. */
async function settle(dataFolder: string, id: string, wish: Wish): Promise<RunRecord> {
  const run = await OpenRun.open(dataFolder, id);
  try {
    const isCancelled = wish === 'cancelled';
    const ended_at = isCancelled ? new Date().toISOString() : run.record.ended_at;
    await run.apply(isCancelled ? 'cancel_asked' : 'pause_asked', isCancelled ? 'was cancelled' : run.record.message, {
      ended_at,
    });
    await forgetWish(run.folder);
    return run.record;
  } finally {
    run.close();
  }
}
