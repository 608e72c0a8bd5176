/**
 * Keeps room on the disk for as long as a service runs: looks when it begins and every hour, and frees ended runs where too little is left.
 * Of several services of one data folder one does it. Knows not which runs go.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { lockFile } from './file-lock.ts';
import { freeRuns } from './free-runs.ts';

const HOUR_MILLISECONDS = 3_600_000;
const DAY_MILLISECONDS = 24 * HOUR_MILLISECONDS;

export interface RoomOptions {
  readonly dataFolder: string;
  readonly keepFreeGib: number;
  /** How long an ended run keeps everything. */
  readonly keepDays: number;
}

export interface KeptRoom {
  /** Resolves when nothing is being freed any more. */
  leave(): Promise<void>;
}

export function keepRoom(options: RoomOptions, log: Logger): KeptRoom {
  const leaving = new AbortController();
  const { signal } = leaving;
  const keep = async () => {
    while (!signal.aborted) {
      await lookOnce(options, log).catch((error) => log.error({ err: error }, 'no room could be made'));
      await sleep(HOUR_MILLISECONDS, undefined, { signal, ref: false }).catch(() => {});
    }
  };
  const keeping = keep();
  return {
    async leave() {
      leaving.abort();
      await keeping;
    },
  };
}

async function lookOnce({ dataFolder, keepFreeGib, keepDays }: RoomOptions, log: Logger): Promise<void> {
  const unlock = lockFile(join(dataFolder, 'runs', 'room.lock'));
  if (unlock === undefined) return;
  try {
    const freed = await freeRuns(dataFolder, {
      dryRun: false,
      graceMs: keepDays * DAY_MILLISECONDS,
      belowBytes: keepFreeGib * 2 ** 30,
    });
    for (const { run, bytes, kept } of freed.runs) {
      if (kept === null)
        log.info({ run: run.id, bytes }, 'checkpoints, model and prepared data were removed to make room');
    }
    for (const { bucket, bytes, examples, problem } of freed.buckets) {
      if (problem !== null) log.warn({ bucket, problem }, 'what runs have in the bucket stays');
      else if (bytes > 0)
        log.info({ bucket, bytes, examples }, 'what nothing names any more was removed from the bucket');
    }
  } finally {
    unlock();
  }
}
