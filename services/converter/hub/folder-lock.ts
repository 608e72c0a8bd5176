/**
 * One pull per folder at a time: two would write into one partial file. A lock whose process has died is taken over.
 */
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDead, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';

const LOCK = '.slipway-pull.lock';

/** Gives the function that unlocks it. AppError conflict while another process holds it. */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const file = join(folder, LOCK);
  const own = newOwnedName();
  for (;;) {
    try {
      await writeFile(file, own, { flag: 'wx' });
      return () => rm(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const [owner, found] = await Promise.all([readFile(file, 'utf8'), stat(file)]).catch(
      () => ['', undefined] as const,
    );
    if (found === undefined) continue;
    if (!isDead(owner, found.mtimeMs, Date.now())) {
      throw new AppError(
        'conflict',
        `another process is pulling into ${folder}; wait for it, or give another --folder`,
      );
    }
    await rm(file, { force: true });
  }
}
