/**
 * A version out of a bucket into a folder or a tar file of one's own: every file verified while it is copied, and the target whole or not
 * there at all. Knows the bucket's contract only.
 */
import { createWriteStream } from 'node:fs';
import { access, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../contracts/errors.ts';
import type { Manifest } from '../contracts/manifest.ts';
import type { Bucket } from './bucket.ts';
import { errorCode, isFullDisk, syncToDisk, writeDurably } from './durable-files.ts';
import { isDead, newOwnedName } from './owner.ts';
import { TAR_BLOCK, tarHeader } from './tar-header.ts';

/** The version's own words about itself, beside its files. */
export const EXPORTED_MANIFEST = 'slipway-manifest.json';

export interface ExportOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (bytes: number, totalBytes: number, files: number) => void;
}

/** `target` ends in .tar: one file. AppError already_exists, disk_full; a damaged blob fails it. Gives the bytes copied. */
export async function exportVersion(
  bucket: Bucket,
  manifest: Manifest,
  target: string,
  options: ExportOptions = {},
): Promise<number> {
  const place = resolve(target);
  const isTar = place.endsWith('.tar');
  await requireFree(place, isTar);
  await mkdir(dirname(place), { recursive: true });
  await removeDead(place);
  const passing = join(dirname(place), `.${basename(place)}.${newOwnedName()}.partial`);
  try {
    const bytes = isTar
      ? await writeTar(bucket, manifest, passing, options)
      : await writeFolder(bucket, manifest, passing, options);
    await takeName(passing, place, isTar);
    await syncToDisk(dirname(place));
    return bytes;
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    throw new AppError('disk_full', `the disk of ${place} is full; nothing was exported. Free some space first.`, {
      cause: error,
    });
  } finally {
    await rm(passing, { recursive: true, force: true });
  }
}

async function writeFolder(
  bucket: Bucket,
  manifest: Manifest,
  folder: string,
  options: ExportOptions,
): Promise<number> {
  await mkdir(folder);
  const progress = counter(manifest, options);
  for (const file of manifest.files) {
    const path = join(folder, file.path);
    await mkdir(dirname(path), { recursive: true });
    await pipeline(await bucket.read(manifest, file.path), progress.count(), createWriteStream(path), {
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    await syncToDisk(path);
    progress.endFile();
  }
  await writeDurably(join(folder, EXPORTED_MANIFEST), manifestText(manifest));
  return progress.bytes();
}

/** All below one folder NAME-v001, as archives from elsewhere have it. */
async function writeTar(bucket: Bucket, manifest: Manifest, path: string, options: ExportOptions): Promise<number> {
  const root = `${manifest.name}-${manifest.version}`;
  const made = new Date(manifest.created_at);
  const progress = counter(manifest, options);
  const text = Buffer.from(manifestText(manifest));
  async function* parts() {
    yield tarHeader(`${root}/${EXPORTED_MANIFEST}`, text.length, made);
    yield padded(text);
    for (const file of manifest.files) {
      yield tarHeader(`${root}/${file.path}`, file.bytes, made);
      yield* (await bucket.read(manifest, file.path)).compose(progress.count());
      yield padding(file.bytes);
      progress.endFile();
    }
    yield Buffer.alloc(2 * TAR_BLOCK);
  }
  await pipeline(parts, createWriteStream(path, { flags: 'wx' }), {
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  await syncToDisk(path);
  return progress.bytes();
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((TAR_BLOCK - (bytes % TAR_BLOCK)) % TAR_BLOCK);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, padding(bytes.length)]);
}

function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

function counter({ files }: Manifest, { onProgress }: ExportOptions) {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let bytes = 0;
  let whole = 0;
  return {
    bytes: () => bytes,
    endFile: () => onProgress?.(bytes, total, ++whole),
    count: () =>
      new Transform({
        transform(chunk: Buffer, _, done) {
          bytes += chunk.length;
          onProgress?.(bytes, total, whole);
          done(null, chunk);
        },
      }),
  };
}

async function requireFree(place: string, isTar: boolean): Promise<void> {
  const found = await stat(place).catch(() => undefined);
  if (found === undefined) return;
  if (!isTar && found.isDirectory() && (await readdir(place)).length === 0) return;
  throw exists(place);
}

/** Neither act replaces what somebody else has put there meanwhile. */
async function takeName(passing: string, place: string, isTar: boolean): Promise<void> {
  try {
    if (isTar) await link(passing, place);
    else await rename(passing, place);
  } catch (error) {
    if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(errorCode(error) ?? '')) throw exists(place);
    if (!isTar || !['EPERM', 'ENOTSUP', 'ENOSYS'].includes(errorCode(error) ?? '')) throw error;
    // No hard links here: then looking first has to do.
    if (
      await access(place).then(
        () => true,
        () => false,
      )
    )
      throw exists(place);
    await rename(passing, place);
  }
}

function exists(place: string): AppError {
  return new AppError(
    'already_exists',
    `${place} is there already and not empty; give another name, or remove it first`,
  );
}

/** What a killed export left behind. */
async function removeDead(place: string): Promise<void> {
  const prefix = `.${basename(place)}.`;
  for (const name of await readdir(dirname(place))) {
    if (!name.startsWith(prefix) || !name.endsWith('.partial')) continue;
    const path = join(dirname(place), name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    const owner = name.slice(prefix.length, -'.partial'.length);
    if (isDead(owner, mtimeMs, Date.now())) await rm(path, { recursive: true, force: true });
  }
}
