/**
 * One worker of a name per data folder, and one name per machine unless somebody gives others: two trainings at once would halve each
 * other's speed. The lock is one of SQLite's, which the system takes from a process that has ended, however it ended.
 */
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Of the machine unless it is given a name of its own; nothing but letters, digits, dots and dashes comes into the file's name. */
export function workerLock(dataFolder: string, worker: string = hostname()): string {
  return join(dataFolder, 'runs', `worker-${worker.replaceAll(/[^\w.-]/g, '-')}.lock`);
}

/** Gives the function that lets it go; undefined while another holds it. */
export function lockWorker(file: string): (() => void) | undefined {
  mkdirSync(dirname(file), { recursive: true });
  const connection = new DatabaseSync(file, { timeout: 0 });
  try {
    connection.exec('BEGIN EXCLUSIVE');
    return () => connection.close();
  } catch (error) {
    connection.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === SQLITE_BUSY) return undefined;
    throw error;
  }
}

const SQLITE_BUSY = 5;
