/**
 * A file that one holds at a time, of all processes that see it. The lock is one of SQLite's, which the system takes from a process that has
 * ended, however it ended. Knows nothing of what is done under it.
 */
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '@slipway/shared/lib/make-folder.ts';

const LOOK_MILLISECONDS = 20;
const SQLITE_BUSY = 5;

/** Gives the function that lets it go; undefined while another holds it. */
export function lockFile(file: string): (() => void) | undefined {
  makeFolder(dirname(file));
  const connection = new DatabaseSync(file, { timeout: 0 });
  try {
    // A journal in a file takes room: on a full disk nobody could be paused, cancelled or freed.
    connection.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return () => connection.close();
  } catch (error) {
    connection.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

/** Waits until nobody else works under this file. */
export async function oneAtATime<Done>(file: string, work: () => Promise<Done>): Promise<Done> {
  for (;;) {
    const unlock = lockFile(file);
    if (unlock === undefined) {
      await sleep(LOOK_MILLISECONDS);
      continue;
    }
    try {
      return await work();
    } finally {
      unlock();
    }
  }
}
