/**
 * A worker that stays: takes its lock as soon as it is free, works on the queue until it is told to leave, and goes on after what fails.
 * Knows no stage.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { lockFile } from './file-lock.ts';
import { type WorkOptions, workRuns } from './work-runs.ts';
import { workerLock } from './worker-lock.ts';

const LOOK_AGAIN_MILLISECONDS = 1000;

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
  const pause = () => sleep(LOOK_AGAIN_MILLISECONDS, undefined, { signal }).catch(() => {});
  const work = async () => {
    while (!signal.aborted) {
      const unlock = lockFile(workerLock(options.dataFolder, worker));
      if (unlock !== undefined) {
        isWorking = true;
        try {
          await workRuns({ ...options, log, signal });
        } catch (error) {
          log.error({ err: error }, 'the queue cannot be worked on; it is tried again');
        } finally {
          isWorking = false;
          unlock();
        }
      }
      await pause();
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
