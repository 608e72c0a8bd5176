/**
 * A worker that stays: takes its lock as soon as it is free, works on the queue until it is told to leave, and goes on after what fails.
 * Knows no stage.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { lockFile } from './file-lock.ts';
import { requeueLost } from './submit-run.ts';
import { type WorkOptions, workRuns } from './work-runs.ts';
import { workerLock } from './worker-lock.ts';

const LOOK_AGAIN_MILLISECONDS = 1000;
/** After what failed: a disk that is full, or a folder that is gone, is told now and then, all night. */
const TRY_AGAIN_MILLISECONDS = 10_000;

export interface KeptWorker {
  /** Whether the lock is its own. */
  readonly isWorking: () => boolean;
  /** Resolves when what it worked on has been given back. */
  leave(): Promise<void>;
}

/** `worker`: of one name one works at a time. */
export function keepWorking(
  options: Omit<WorkOptions, 'signal' | 'isDone' | 'log'>,
  worker: string,
  log: Logger,
): KeptWorker {
  const leaving = new AbortController();
  const { signal } = leaving;
  let isWorking = false;
  const pause = (milliseconds: number) => sleep(milliseconds, undefined, { signal }).catch(() => {});
  const workAlone = async () => {
    const unlock = lockFile(workerLock(options.dataFolder, worker));
    if (unlock === undefined) return;
    isWorking = true;
    try {
      await requeueLost(options.dataFolder, options.queue);
      await workRuns({ ...options, log, signal });
    } finally {
      isWorking = false;
      unlock();
    }
  };
  const work = async () => {
    while (!signal.aborted) {
      try {
        await workAlone();
        await pause(LOOK_AGAIN_MILLISECONDS);
      } catch (error) {
        log.error({ err: error }, 'the queue cannot be worked on; it is tried again');
        await pause(TRY_AGAIN_MILLISECONDS);
      }
    }
  };
  const working = work();
  return {
    isWorking: () => isWorking,
    async leave() {
      leaving.abort();
      await working;
    },
  };
}
