/**
 * The few file operations a folder bucket rests on: durable writes, exclusive names, hashing, and disk-full told apart from
 * other failures. Knows nothing of models or manifests.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AppError } from '../contracts/errors.ts';

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** No space, or no more of it for this user. */
export function isFullDisk(error: unknown): error is Error {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(error) ?? '');
}

/** The message names the path: somebody may not write there, or it lies below what is no folder. */
export function isRefusedPath(error: unknown): error is Error {
  const code = errorCode(error) ?? '';
  // What making a folder and those around it says on a file system that is read-only.
  if (code === 'ENOENT') return error instanceof Error && 'syscall' in error && error.syscall === 'mkdir';
  return ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code);
}

/** Runs `work`; "no space left" becomes AppError disk_full, whatever call met it. */
export async function tellDiskFull<T>(location: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    throw new AppError(
      'disk_full',
      `No space is left for the bucket ${location}. Nothing was published; free some space and run it again.`,
      { cause: error },
    );
  }
}

/** Hex. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}

/** Forces what was written to a file, or the names in a folder, onto the disk. */
export async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } catch (error) {
    // Windows and some network filesystems cannot sync a folder; their own journal must do.
    if (!['EISDIR', 'EPERM', 'EINVAL', 'ENOTSUP'].includes(errorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

export async function writeDurably(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Gives `source` a second name, whole and at once; false when `target` exists already.
 * Where the filesystem has no hard links it is copied under a passing name first.
 */
export async function linkOrCopy(source: string, target: string): Promise<boolean> {
  await mkdir(dirname(target), { recursive: true });
  try {
    await link(source, target);
    return true;
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EXDEV', 'EMLINK', 'ENOSYS'].includes(code)) throw error;
  }
  const passing = `${target}.${process.pid}.copy`;
  try {
    await copyFile(source, passing);
    await syncToDisk(passing);
    await rename(passing, target);
  } finally {
    await rm(passing, { force: true });
  }
  return true;
}

/** All regular files below `folder`, as sorted paths with forward slashes. Anything else (a link, a socket) is refused. */
export async function listFiles(folder: string): Promise<string[]> {
  const paths: string[] = [];
  async function walk(prefix: string): Promise<void> {
    for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
      const path = prefix === '' ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile()) paths.push(path);
      else
        throw new AppError(
          'invalid_source',
          `${join(folder, path)} is not a regular file; a version holds only those.`,
        );
    }
  }
  await walk('');
  return paths.sort();
}
