/**
 * Many bytes into a file, in parallel ranges, hashed while they come. The file only ever holds what comes first, so that whoever was
 * cut off goes on where the file ends. Knows not where the bytes come from.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { AppError } from '../contracts/errors.ts';

export interface Source {
  readonly bytes: number;
  readonly sha256: string;
  /** For messages. */
  readonly where: string;
  /** Bytes `start` to `end` (excluded), or a beginning of them when it is cut off. */
  read(start: number, end: number, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

export interface DownloadOptions {
  readonly partBytes?: number;
  readonly parallel?: number;
  /** A part that gets no byte for so long is asked for again. */
  readonly stallMs?: number;
  /** How often a part is asked for again without having got a byte. */
  readonly attempts?: number;
}

const PART_BYTES = 8 * 2 ** 20;
const PARALLEL = 6;
const STALL_MS = 20_000;
const ATTEMPTS = 6;
/** What one call of the system takes. */
const CHUNKS_AT_ONCE = 1000;

/** Afterwards `file` is whole and right. AppError bucket_unavailable: what has come is kept; internal: it was wrong, and is emptied. */
export async function download(source: Source, file: string, options: DownloadOptions = {}): Promise<void> {
  const partBytes = options.partBytes ?? PART_BYTES;
  const handle = await open(file, 'a');
  const abort = new AbortController();
  const parts: Promise<Uint8Array[]>[] = [];
  try {
    const { size } = await handle.stat();
    if (size > source.bytes) {
      await handle.truncate(0);
      return await download(source, file, options);
    }
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk);
    let next = size;
    const begin = () => {
      const start = next;
      next = Math.min(start + partBytes, source.bytes);
      const part = readPart(source, start, next, abort.signal, options);
      // It is waited for in its turn; until then its failure is not nobody's.
      part.catch(() => undefined);
      parts.push(part);
    };
    const parallel = options.parallel ?? PARALLEL;
    while (next < source.bytes && parts.length < parallel) begin();
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const chunks = await part;
      if (next < source.bytes) begin();
      const written = writeAll(handle, chunks);
      for (const chunk of chunks) hash.update(chunk);
      await written;
    }
    const found = hash.digest('hex');
    if (found === source.sha256) return;
    await handle.truncate(0);
    // What an earlier attempt left may have been wrong: that is no reason to blame the source.
    if (size > 0) return await download(source, file, options);
    throw new AppError(
      'internal',
      `${source.where} is damaged: its sha256 is ${found} instead of ${source.sha256}. Publish the model again.`,
    );
  } finally {
    abort.abort();
    await Promise.allSettled(parts);
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[]): Promise<void> {
  for (let from = 0; from < chunks.length; from += CHUNKS_AT_ONCE) {
    const some = chunks.slice(from, from + CHUNKS_AT_ONCE);
    const { bytesWritten } = await handle.writev(some);
    const bytes = some.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    // Less is written when a disk is full, and the attempt to write the rest says so.
    if (bytesWritten < bytes) await handle.writeFile(Buffer.concat(some).subarray(bytesWritten));
  }
}

async function readPart(
  source: Source,
  start: number,
  end: number,
  signal: AbortSignal,
  options: DownloadOptions,
): Promise<Uint8Array[]> {
  // As they come: putting them into one buffer would cost as much as hashing them.
  const chunks: Uint8Array[] = [];
  for await (const chunk of streamRange(source, start, end, signal, options)) chunks.push(chunk);
  return chunks;
}

/** Exactly the bytes `start` to `end` (excluded). What is cut off goes on where it was. AppError bucket_unavailable. */
export async function* streamRange(
  source: Source,
  start: number,
  end: number,
  signal: AbortSignal = new AbortController().signal,
  { stallMs = STALL_MS, attempts = ATTEMPTS }: DownloadOptions = {},
): AsyncGenerator<Uint8Array> {
  let at = start;
  for (let attempt = 1; ; attempt++) {
    const stalled = new AbortController();
    const watchFor = () => setTimeout(() => stalled.abort(), stallMs);
    let watch = watchFor();
    try {
      for await (const chunk of await source.read(at, end, AbortSignal.any([signal, stalled.signal]))) {
        if (at + chunk.byteLength > end) throw new Error('more bytes came than were asked for');
        at += chunk.byteLength;
        attempt = 0;
        // Only what the source takes counts, not what is done with it.
        clearTimeout(watch);
        yield chunk;
        watch = watchFor();
      }
      if (at === end) return;
      throw new Error('it was cut off');
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof AppError && error.code !== 'bucket_unavailable') throw error;
      if (attempt >= attempts) {
        throw new AppError(
          'bucket_unavailable',
          `${source.where} could not be read to its end (${reasonOf(error)}). What came is kept: try again to go on.`,
          { cause: error },
        );
      }
      await pause(50 * 2 ** attempt, undefined, { signal });
    } finally {
      clearTimeout(watch);
    }
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
