/**
 * Downloads that have not come to their end: each belongs to one process, and the next one that wants the same blob goes on with what
 * a dead one left. Knows not where the bytes come from.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDead, isMine, newOwnedName } from './owner.ts';

/** Left by the dead, and wanted by nobody for so long. */
const FORGOTTEN_MS = 7 * 24 * 3_600_000;

export interface Partials {
  /** What is there of a blob, or a path where there is nothing yet. `leave`: this process is done with it, whatever it left there. */
  take(sha256: string): Promise<{ readonly path: string; leave(): void }>;
  /** What all of them take. */
  bytes(): Promise<number>;
}

export function openPartials(folder: string): Partials {
  const active = new Set<string>();

  async function isFree(name: string): Promise<boolean> {
    const owner = name.slice(name.indexOf('.') + 1);
    if (isMine(owner)) return !active.has(name);
    const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Date.now() }));
    return isDead(owner, mtimeMs, Date.now());
  }

  return {
    async take(sha256) {
      await mkdir(folder, { recursive: true });
      const mine = `${sha256}.${newOwnedName()}`;
      active.add(mine);
      for (const name of await readdir(folder)) {
        if (!name.startsWith(`${sha256}.`) || !(await isFree(name))) continue;
        // Whoever is first has it.
        const taken = await rename(join(folder, name), join(folder, mine)).then(
          () => true,
          () => false,
        );
        if (taken) break;
      }
      return { path: join(folder, mine), leave: () => active.delete(mine) };
    },

    async bytes() {
      let sum = 0;
      for (const name of await readdir(folder).catch(() => [])) {
        const { size, mtimeMs } = await stat(join(folder, name)).catch(() => ({ size: 0, mtimeMs: Date.now() }));
        if (Date.now() - mtimeMs > FORGOTTEN_MS && (await isFree(name))) await rm(join(folder, name), { force: true });
        else sum += size;
      }
      return sum;
    },
  };
}
