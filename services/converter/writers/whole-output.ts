/**
 * A file or folder that appears under its name whole or not at all: written beside it under a passing name, then renamed.
 * Knows nothing of what is written.
 */
import { link, lstat, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { isDead, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';

const SUFFIX = '.partial';

/**
 * `write` makes a file or a folder at the path it is given; what it made then stands at `target`. When it fails nothing stands
 * anywhere; what a killed process left is cleaned up by the next one for the same target.
 * AppError already_exists when something stands at `target`, not_found when its folder is missing, disk_full.
 */
export async function writeWhole<T>(target: string, write: (passing: string) => Promise<T>): Promise<T> {
  const place = path.resolve(target);
  await requireFree(place);
  await removeDead(place);
  const passing = passingName(place, newOwnedName());
  try {
    const result = await write(passing);
    await giveName(passing, place);
    return result;
  } catch (error) {
    throw asDiskFull(error, place) ?? error;
  } finally {
    await rm(passing, { recursive: true, force: true });
  }
}

async function requireFree(place: string): Promise<void> {
  if (await lstat(place).catch(() => undefined)) throw taken(place);
  const folder = path.dirname(place);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new AppError('not_found', `there is no folder ${folder} to write ${path.basename(place)} in; make it first`);
  }
}

function taken(place: string): AppError {
  return new AppError(
    'already_exists',
    `${place} exists already and is left as it is; name another --out or remove it`,
  );
}

function passingName(place: string, owner: string): string {
  return path.join(path.dirname(place), `.${path.basename(place)}.${owner}${SUFFIX}`);
}

async function removeDead(place: string): Promise<void> {
  const folder = path.dirname(place);
  const prefix = `.${path.basename(place)}.`;
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(SUFFIX)) continue;
    const leftover = path.join(folder, name);
    const touched = (await stat(leftover).catch(() => undefined))?.mtimeMs;
    const owner = name.slice(prefix.length, -SUFFIX.length);
    if (touched !== undefined && isDead(owner, touched, Date.now()))
      await rm(leftover, { recursive: true, force: true });
  }
}

/** Never over something that came there meanwhile. */
async function giveName(passing: string, place: string): Promise<void> {
  const isFolder = (await stat(passing)).isDirectory();
  try {
    if (isFolder) await rename(passing, place);
    // A link fails where a rename would replace.
    else await link(passing, place);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(code)) throw taken(place);
    // Not every filesystem has links.
    if (isFolder || !['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(code)) throw error;
    await requireFree(place);
    await rename(passing, place);
  }
}

function asDiskFull(error: unknown, place: string): AppError | undefined {
  if (!isFullDisk(error)) return undefined;
  return new AppError(
    'disk_full',
    `the disk of ${place} is full; nothing was written. Free some space and run it again.`,
    {
      cause: error,
    },
  );
}
