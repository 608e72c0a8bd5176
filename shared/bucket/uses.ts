/**
 * Which versions' folders are in use by which living processes, so that nobody frees them under their feet. Who uses marks that first
 * and then looks whether somebody is freeing; who frees says so first and then looks at the marks: one of the two always sees the
 * other. Knows neither versions nor how they are freed.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HEARTBEAT_MS, isDead, newOwnedName } from './owner.ts';

export interface Uses {
  /** `what` stays in use while this process lives, or until `end`. Once per process is enough. */
  begin(what: string): Promise<void>;
  end(what: string): Promise<void>;
  /** Waits while somebody frees. Whoever has said elsewhere what it needs, where those who free look, may go on then. */
  nobodyFrees(): Promise<void>;
  /** Gives `free` all that is in use. What begins meanwhile waits until it is done. */
  whileFreeing<T>(free: (inUse: ReadonlySet<string>) => Promise<T>): Promise<T>;
}

const FREEING = '.freeing';
/** Unlinking files takes moments: who has not ended by then has died elsewhere. */
const LONGEST_FREEING_MS = 60_000;

export function openUses(folder: string): Uses {
  const mine = new Map<string, { readonly file: string; readonly heartbeat: NodeJS.Timeout }>();

  /** Files of living owners; those of dead ones are removed. */
  async function living(): Promise<string[]> {
    const names = await readdir(folder).catch(() => []);
    const alive: string[] = [];
    for (const name of names) {
      const owner = name.replace(FREEING, '').replace('.new', '');
      const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Date.now() }));
      if (isDead(owner, mtimeMs, Date.now())) await rm(join(folder, name), { force: true });
      else alive.push(name);
    }
    return alive;
  }

  async function mark(suffix: '' | typeof FREEING, text: string) {
    await mkdir(folder, { recursive: true });
    const file = join(folder, `${newOwnedName()}${suffix}`);
    // Whole at once: half a mark would be somebody using nothing.
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
    const heartbeat = setInterval(() => {
      const now = new Date();
      utimes(file, now, now).catch(() => clearInterval(heartbeat));
    }, HEARTBEAT_MS);
    heartbeat.unref();
    return { file, heartbeat };
  }

  async function unmark({ file, heartbeat }: { readonly file: string; readonly heartbeat: NodeJS.Timeout }) {
    clearInterval(heartbeat);
    await rm(file, { force: true });
  }

  async function nobodyFrees(): Promise<void> {
    const patience = performance.now() + LONGEST_FREEING_MS;
    while ((await living()).some((name) => name.endsWith(FREEING)) && performance.now() < patience) await pause(20);
  }

  return {
    async begin(what) {
      if (!mine.has(what)) {
        const made = await mark('', what);
        const earlier = mine.get(what);
        mine.set(what, made);
        if (earlier) await unmark(earlier);
      }
      await nobodyFrees();
    },
    nobodyFrees,
    async end(what) {
      const use = mine.get(what);
      mine.delete(what);
      if (use) await unmark(use);
    },
    async whileFreeing(free) {
      const freeing = await mark(FREEING, '');
      try {
        const inUse = new Set<string>();
        for (const name of await living()) {
          if (!/[.](?:new|freeing)$/.test(name)) inUse.add(await readFile(join(folder, name), 'utf8').catch(() => ''));
        }
        return await free(inUse);
      } finally {
        await unmark(freeing);
      }
    },
  };
}
