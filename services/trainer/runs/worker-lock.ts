/**
 * One worker per data folder: two trainings at once would halve each other's speed, and two workers on one run would break it. The lock is
 * one of SQLite's, which the system takes from a process that has ended, however it ended.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

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
