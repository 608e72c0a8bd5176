/**
 * `models pull`: from a repository's name on a Hugging Face hub to a folder that `convert` reads. Owns what the folder holds: whole
 * files of one commit, and parts that the next attempt continues. Converts nothing itself.
 */
import { mkdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { isSafePath } from '@slipway/shared/bucket/keys.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { downloadFile, isWhole, partialPaths } from './download-file.ts';
import { lockFolder } from './folder-lock.ts';
import { describeRepository, type Hub } from './hub-client.ts';
import { PATIENCE, type Patience } from './retry.ts';
import { type HubFile, selectFiles } from './select-files.ts';

export interface PullOptions {
  /** ORG/NAME, or NAME for the oldest models. */
  readonly repository: string;
  /** A branch, tag or commit. */
  readonly revision: string;
  /** One file instead of the whole model: one of several .gguf. */
  readonly file?: string;
  readonly folder: string;
  /** Default: https://huggingface.co. */
  readonly endpoint?: string;
  readonly token?: string | undefined;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly patience?: Partial<Patience>;
}

export interface PullProgress {
  readonly bytes: number;
  readonly totalBytes: number;
  /** Files that are whole. */
  readonly files: number;
  readonly totalFiles: number;
  /** Why nothing comes at the moment. */
  readonly waiting?: string;
}

export interface Pulled {
  readonly repository: string;
  readonly commit: string;
  /** What `convert` is to be given. */
  readonly source: string;
  readonly files: number;
  readonly bytes: number;
  /** Of them, those that came over the network now. */
  readonly downloadedBytes: number;
}

/** Says which files of a folder a pull made, so that those of an older commit can be removed. */
const RECORD = '.slipway-pull.json';
const Record = z.object({ repository: z.string(), commit: z.string(), files: z.array(z.string()) });

const AT_ONCE = 3;
/** Left free, so that a download does not take the system's last bytes. */
const SPARE_BYTES = 64 << 20;

/** AppError says what is missing, not allowed, wrong or full, and what to do; what has come so far is kept for the next attempt. */
export async function pull(options: PullOptions): Promise<Pulled> {
  const repository = checkRepository(options.repository);
  const folder = resolve(options.folder);
  const progress = { bytes: 0, totalBytes: 0, files: 0, totalFiles: 0 };
  const tell = (waiting?: string) =>
    options.onProgress?.({ ...progress, ...(waiting === undefined ? {} : { waiting }) });
  const giveUp = new AbortController();
  const hub: Hub = {
    endpoint: checkEndpoint(options.endpoint ?? 'https://huggingface.co'),
    token: options.token || null,
    patience: { ...PATIENCE, ...options.patience },
    signal: options.signal ? AbortSignal.any([options.signal, giveUp.signal]) : giveUp.signal,
    onWait: (why, milliseconds) => tell(`${why}; again in ${Math.ceil(milliseconds / 1000)} s`),
  };
  tell();
  const { commit, files: listed } = await describeRepository(hub, repository, options.revision);
  const { files, source } = selectFiles(repository, listed, options.file);
  const unsafe = files.find(({ path }) => !isSafePath(path));
  if (unsafe) throw new AppError('invalid_source', `${repository} has a file named ${JSON.stringify(unsafe.path)}`);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  Object.assign(progress, { totalBytes: bytes, totalFiles: files.length });
  tell();

  await mkdir(folder, { recursive: true });
  const unlock = await lockFolder(folder);
  let downloadedBytes = 0;
  try {
    const isOurs = await removeStale(folder, repository, files);
    const missing: HubFile[] = [];
    for (const file of files) {
      options.signal?.throwIfAborted();
      if (await isWhole(folder, file)) {
        Object.assign(progress, { bytes: progress.bytes + file.bytes, files: progress.files + 1 });
        // Of a pull that was killed behind giving the file its name.
        if (isOurs) await rm(partialPaths(join(folder, file.path)).note, { force: true });
      } else missing.push(file);
      tell();
    }
    if (!isOurs) await requireNothingElse(folder, missing);
    await writeRecord(folder, { repository, commit, files: files.map(({ path }) => path) });
    await requireRoom(folder, missing);
    await inParallel(missing, AT_ONCE, giveUp, async (file) => {
      const url = new URL(`${hub.endpoint}/${repository}/resolve/${commit}/${encodePath(file.path)}`);
      const onBytes = (added: number) => {
        progress.bytes += added;
        tell();
      };
      const onReceived = (received: number) => {
        downloadedBytes += received;
      };
      const label = `${repository}/${file.path}`;
      await downloadFile({ hub, url, file, label, folder, onBytes, onReceived });
      progress.files++;
      tell();
    });
  } catch (error) {
    throw diskFull(error, folder) ?? error;
  } finally {
    await unlock();
  }
  return { repository, commit, source: join(folder, source), files: files.length, bytes, downloadedBytes };
}

function checkRepository(name: string): string {
  if (/^[\w.-]{1,96}(\/[\w.-]{1,96})?$/.test(name) && !/(^|\/)\.{1,2}(\/|$)/.test(name)) return name;
  throw new AppError('invalid_field', `${JSON.stringify(name.slice(0, 80))} is no name on the hub; write ORG/NAME`);
}

function checkEndpoint(text: string): string {
  const url = URL.parse(text);
  if (url && ['http:', 'https:'].includes(url.protocol)) return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
  throw new AppError('invalid_field', `HF_ENDPOINT ${JSON.stringify(text)} is no http(s) address`);
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** The first failure stops the others. */
async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  giveUp: AbortController,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    for (const item of queue) {
      if (failure) return;
      try {
        await work(item);
      } catch (error) {
        failure ??= { error };
        giveUp.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  if (failure) throw failure.error;
}

/**
 * Only what an earlier pull made and this commit has no more: a shard of yesterday would be read as one of today. False when no pull
 * made this folder.
 */
async function removeStale(folder: string, repository: string, wanted: readonly HubFile[]): Promise<boolean> {
  const record = await readRecord(folder);
  if (record && record.repository !== repository) {
    throw new AppError(
      'already_exists',
      `${folder} holds ${record.repository}; give another --folder, or remove it first`,
    );
  }
  const keep = new Set(wanted.map(({ path }) => path));
  for (const path of record?.files ?? []) {
    if (keep.has(path) || !isSafePath(path)) continue;
    const target = join(folder, path);
    const { part, note } = partialPaths(target);
    for (const stale of [target, part, note]) await rm(stale, { force: true });
  }
  return record !== undefined;
}

/** Files of somebody's own are not written over. */
async function requireNothingElse(folder: string, missing: readonly HubFile[]): Promise<void> {
  for (const { path } of missing) {
    const found = await stat(join(folder, path)).catch(() => undefined);
    if (found === undefined) continue;
    throw new AppError(
      'already_exists',
      `${join(folder, path)} is there with other bytes, and no pull made it; give another --folder, or remove it`,
    );
  }
}

async function readRecord(folder: string): Promise<z.infer<typeof Record> | undefined> {
  try {
    return Record.parse(JSON.parse(await readFile(join(folder, RECORD), 'utf8')));
  } catch {
    return undefined;
  }
}

async function writeRecord(folder: string, record: z.infer<typeof Record>): Promise<void> {
  const file = join(folder, RECORD);
  await writeFile(`${file}.new`, `${JSON.stringify(record, null, 1)}\n`);
  await rename(`${file}.new`, file);
}

async function requireRoom(folder: string, missing: readonly HubFile[]): Promise<void> {
  let needed = 0;
  for (const { path, bytes } of missing) {
    const part = await stat(partialPaths(join(folder, path)).part).catch(() => undefined);
    needed += Math.max(0, bytes - (part?.size ?? 0));
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (needed + SPARE_BYTES <= free || needed === 0) return;
  const mib = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  throw new AppError(
    'disk_full',
    `${folder} needs ${mib(needed)} more, and its disk has ${mib(free)} free; give another --folder or free some space`,
  );
}

function diskFull(error: unknown, folder: string): AppError | undefined {
  if (!isFullDisk(error)) return undefined;
  return new AppError('disk_full', `the disk of ${folder} is full; what has come so far is kept for the next attempt`, {
    cause: error,
  });
}
