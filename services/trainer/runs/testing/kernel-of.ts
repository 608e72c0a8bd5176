/** The kernel that works on a run now, for tests that kill it. */
import { readFileSync } from 'node:fs';
import { runFolder } from '../run-folder.ts';

/** Its process's number; undefined while none is remembered, or when it is gone. */
export function kernelOf(dataFolder: string, id: string): number | undefined {
  try {
    const pid = Number(readFileSync(runFolder(dataFolder, id).kernel, 'utf8').split('-')[1]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
