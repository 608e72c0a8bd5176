/**
 * Makes a folder and those around it. Node's own way to do so never ends where a file system refuses a name with "no such file" (/proc).
 */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Nothing happens when it is there. Throws what the system says of the first folder that cannot be made. */
export function makeFolder(path: string): void {
  const at = (place: string) => statSync(place, { throwIfNoEntry: false });
  try {
    mkdirSync(path);
  } catch (error) {
    if (at(path)?.isDirectory()) return;
    const isAroundMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT' && !at(dirname(path));
    if (!isAroundMissing) throw error;
    makeFolder(dirname(path));
    makeFolder(path);
  }
}
