/**
 * The lines of a file that others add to, as they become whole: from any place on, again after any interruption, in bounded memory. Knows
 * nothing of what they say.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '@slipway/shared/bucket/durable-files.ts';

export interface Line {
  readonly text: string;
  /** Bytes up to its end, its line break included: where the next one begins. */
  readonly end: number;
}

export interface FollowOptions {
  /** Bytes. */
  readonly from: number;
  /** Whether nothing more comes: what is there by then is still read. */
  readonly isOver: () => Promise<boolean>;
  /** Ends it without an error. */
  readonly signal: AbortSignal;
}

const POLL_MILLISECONDS = 200;
const PIECE_BYTES = 1 << 16;
/** What is longer is told in pieces. */
const LONGEST_LINE_BYTES = 2 ** 21;
const LINE_BREAK = 10;

/** What has come since the last time, which may be nothing. A file that is not there yet is empty. */
export async function* followLines(path: string, options: FollowOptions): AsyncGenerator<readonly Line[]> {
  const { isOver, signal } = options;
  let from = options.from;
  for (;;) {
    const wasOver = await isOver();
    for await (const lines of readLines(path, from)) {
      if (signal.aborted) return;
      from = lines.at(-1)?.end ?? from;
      yield lines;
    }
    if (wasOver || signal.aborted) return;
    yield [];
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => {});
  }
}

/** Those that are whole now. No file is open while they are taken: who reads them may never come back. */
export async function* readLines(path: string, from = 0): AsyncGenerator<readonly Line[]> {
  let rest = Buffer.alloc(0);
  let offset = from;
  for (;;) {
    const piece = await readPiece(path, offset + rest.length);
    if (piece.length === 0) return;
    const held = Buffer.concat([rest, piece]);
    const { lines, end } = split(held, offset);
    rest = held.subarray(end);
    offset += end;
    if (lines.length > 0) yield lines;
  }
}

/** Empty at the end of the file, and where there is none. */
async function readPiece(path: string, position: number): Promise<Buffer> {
  const file = await openIfThere(path);
  if (file === undefined) return Buffer.alloc(0);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(PIECE_BYTES), 0, PIECE_BYTES, position);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** The last lines, of the last `bytes` of the file. */
export async function lastLines(path: string, count: number, bytes: number): Promise<readonly string[]> {
  const file = await openIfThere(path);
  if (file === undefined) return [];
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - bytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    // The first has lost its beginning, unless it is the file's; behind the last line break there is no line yet.
    return lines.slice(start === 0 ? 0 : 1, -1).slice(-count);
  } finally {
    await file.close();
  }
}

function split(bytes: Buffer, offset: number): { readonly lines: readonly Line[]; readonly end: number } {
  const lines: Line[] = [];
  let start = 0;
  for (;;) {
    const at = bytes.indexOf(LINE_BREAK, start);
    const isTooLong = at === -1 && bytes.length - start >= LONGEST_LINE_BYTES;
    if (at === -1 && !isTooLong) return { lines, end: start };
    const end = isTooLong ? bytes.length : at;
    const next = isTooLong ? end : end + 1;
    lines.push({ text: bytes.toString('utf8', start, end), end: offset + next });
    start = next;
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
