/**
 * One worker of a name per data folder, and one name per machine unless somebody gives others: two trainings at once would halve each
 * other's speed.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';

/** The file to lock. Nothing of a name but letters, digits, dots and dashes comes into the file's. */
export function workerLock(dataFolder: string, worker: string = hostname()): string {
  return join(dataFolder, 'runs', `worker-${worker.replaceAll(/[^\w.-]/g, '-')}.lock`);
}
