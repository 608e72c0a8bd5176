/**
 * One file of a repository into a folder: resumed where an earlier attempt stopped, hashed while it comes, and given its name only when
 * its bytes are the ones the hub announced. Knows nothing of which files are wanted.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { dirname, join } from 'node:path';
import { Writable } from 'node:stream';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { type Hub, persistently } from './hub-client.ts';
import { rangedGet } from './ranged-get.ts';
import { failureOf, PassingFailure } from './retry.ts';
import type { HubFile } from './select-files.ts';

/** Lies beside a partial file and says of what it is a part. */
const Part = z.object({ digest: z.string(), etag: z.string().nullable() });

const BUFFERED_BYTES = 1 << 20;

/** What lies beside a file until it is whole: the bytes that are here, and of what they are a part. */
export function partialPaths(target: string): { readonly part: string; readonly note: string } {
  return { part: `${target}.part`, note: `${target}.part.json` };
}

export interface Download {
  readonly hub: Hub;
  /** Where the file is, with the commit in its path. */
  readonly url: URL;
  readonly file: HubFile;
  /** For people: ORG/NAME/FILE. */
  readonly label: string;
  readonly folder: string;
  /** Bytes that are here now; negative when some turned out to be of no use. */
  readonly onBytes: (added: number) => void;
  /** Bytes that came over the network, whatever became of them. */
  readonly onReceived: (bytes: number) => void;
}

/** AppError when it cannot be had, or when its bytes are twice not the ones announced. */
export async function downloadFile(download: Download): Promise<void> {
  const { file, folder } = download;
  const target = join(folder, file.path);
  await mkdir(dirname(target), { recursive: true });
  const { part, note } = partialPaths(target);
  for (let round = 1; ; round++) {
    const found = await transfer(download, part, note);
    if (found === file.digest.hex) break;
    await rm(part, { force: true });
    download.onBytes(-file.bytes);
    if (round === 2) {
      throw new AppError(
        'invalid_source',
        `${file.path}: the bytes that came are not those the hub announces (${file.digest.kind} ${found} instead of ${file.digest.hex}), twice; something between here and ${download.hub.endpoint} changes them`,
      );
    }
  }
  await rename(part, target);
  await rm(note, { force: true });
}

/** Gives the digest of the whole file. */
async function transfer(download: Download, part: string, note: string): Promise<string> {
  const { file, onBytes } = download;
  const digest = `${file.digest.kind} ${file.digest.hex}`;
  const before = await readNote(note);
  const handle = await open(part, 'a+');
  try {
    const progress: Progress = { done: 0, etag: before?.etag ?? null, hash: newHash(file) };
    const restart = async () => {
      await handle.truncate();
      onBytes(-progress.done);
      Object.assign(progress, { done: 0, etag: null, hash: newHash(file) } satisfies Progress);
    };
    const { size } = await handle.stat();
    if (before?.digest !== digest || size > file.bytes) await restart();
    else {
      progress.done = size;
      onBytes(size);
      for await (const chunk of createReadStream(part, { highWaterMark: 1 << 20 })) progress.hash.update(chunk);
    }

    let brought = progress.done;
    await persistently(
      download.hub,
      async () => {
        brought = progress.done;
        if (progress.done === file.bytes) return;
        await continueFrom(download, handle, progress, restart, (etag) =>
          writeFile(note, JSON.stringify({ digest, etag })),
        );
      },
      () => progress.done > brought,
    );
    return progress.hash.digest('hex');
  } finally {
    await handle.close();
  }
}

interface Progress {
  done: number;
  etag: string | null;
  hash: Hash;
}

/** One connection. PassingFailure when it ended too early; what came until then is kept. */
async function continueFrom(
  { hub, url, file, label, onBytes, onReceived }: Download,
  handle: FileHandle,
  progress: Progress,
  restart: () => Promise<void>,
  writeNote: (etag: string | null) => Promise<void>,
): Promise<void> {
  const stalled = new AbortController();
  const signal = AbortSignal.any([hub.signal, stalled.signal]);
  const stall = new PassingFailure(`nothing came for ${hub.patience.stall / 1000} s`);
  const watchdog = setTimeout(() => stalled.abort(stall), hub.patience.stall);

  async function begin({ statusCode = 0, headers }: IncomingMessage): Promise<void> {
    const header = (name: string) => [headers[name]].flat()[0];
    if (statusCode === 206) requireStart(header('content-range'), progress.done);
    else if (statusCode === 200) await restart();
    else if (statusCode === 416) {
      await restart();
      throw new PassingFailure('the hub has fewer bytes than are here');
    } else throw failureOf(statusCode, header, label, hub.token !== null);
    if (progress.done > 0) return;
    // A weak tag names no exact bytes, so that it cannot be asked for.
    progress.etag = header('etag')?.startsWith('"') ? (header('etag') ?? null) : null;
    await writeNote(progress.etag);
  }

  async function take(bytes: Buffer): Promise<void> {
    watchdog.refresh();
    onReceived(bytes.length);
    if (progress.done + bytes.length > file.bytes) {
      await restart();
      throw new PassingFailure(`${file.path} is longer than the ${file.bytes} bytes the hub announces`);
    }
    await writeAll(handle, bytes);
    progress.hash.update(bytes);
    progress.done += bytes.length;
    onBytes(bytes.length);
  }

  try {
    const response = await rangedGet(url, { offset: progress.done, ifRange: progress.etag, token: hub.token, signal });
    const how = await receive(response, () => begin(response), take);
    if (progress.done < file.bytes) throw new PassingFailure(`the connection ended too early${how}`);
  } catch (error) {
    hub.signal.throwIfAborted();
    throw stalled.signal.aborted ? stall : error;
  } finally {
    clearTimeout(watchdog);
  }
}

/**
 * Hands all bytes on as they come; unlike an async iterator it loses none that came before a connection broke. Resolves when the last
 * has been taken, with how the connection ended in words: empty when it ended well.
 */
function receive(
  response: IncomingMessage,
  begin: () => Promise<void>,
  take: (bytes: Buffer) => Promise<void>,
): Promise<string> {
  let how = '';
  const begun = begin();
  const sink = new Writable({
    highWaterMark: BUFFERED_BYTES,
    write: (bytes: Buffer, _, done) => void begun.then(() => take(bytes)).then(() => done(), done),
    final: (done) => void begun.then(() => done(), done),
  });
  return new Promise<string>((resolve, reject) => {
    sink.once('error', reject).once('finish', () => resolve(how));
    response.once('error', (error) => {
      how = ` (${error.message})`;
      sink.end();
    });
    response.once('close', () => sink.end());
    response.pipe(sink);
    begun.catch((error) => sink.destroy(error));
  }).finally(() => response.destroy());
}

function requireStart(range: string | undefined, offset: number): void {
  if (Number(/^bytes (\d+)-/.exec(range ?? '')?.[1]) === offset) return;
  throw new PassingFailure(`the hub sent another range (${range}) than the one asked for`);
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await handle.write(bytes, written)).bytesWritten;
  }
}

/** Git hashes a header with the size before a blob's bytes. */
function newHash({ bytes, digest }: HubFile): Hash {
  return digest.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

async function readNote(path: string): Promise<z.infer<typeof Part> | undefined> {
  try {
    return Part.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // None, or cut short while it was written: without it a part is of unknown origin.
    return undefined;
  }
}

/** Whether the file is there with the announced bytes. */
export async function isWhole(folder: string, file: HubFile): Promise<boolean> {
  const path = join(folder, file.path);
  const found = await stat(path).catch(() => undefined);
  if (found?.size !== file.bytes) return false;
  const hash = newHash(file);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex') === file.digest.hex;
}
