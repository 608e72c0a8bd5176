/**
 * What a data file is, by its content first and its name second, and its readings. Unpacks gzip on the way. Knows no format of records.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { readCsv } from './csv.ts';
import { readJsonLines } from './json-lines.ts';
import { readJsonValues } from './json-values.ts';
import { readParquet } from './parquet.ts';
import { readPlainText } from './plain-text.ts';
import { CHUNK_BYTES, type Readings } from './reading.ts';

export type FileType = 'json' | 'jsonl' | 'csv' | 'parquet' | 'text';

export interface OpenedFile {
  readonly type: FileType;
  readonly isGzipped: boolean;
  /** May be iterated once. */
  readonly readings: Readings;
}

export interface OpenOptions {
  /** For messages. */
  readonly name: string;
  /** Read what looks like anything as plain text. */
  readonly asText?: boolean;
  /** Called with the bytes that were read of the file, packed as they are. */
  readonly onBytes?: (bytes: number) => void;
}

const HEAD_BYTES = 65_536;
/** No text packs better than this; a file that does is made to fill a disk. */
const MOST_EXPANSION = 200;
const EXPANSION_ALLOWANCE = 64 << 20;

const PICKLE = 'a Python pickle, which is never opened: save it as JSON Lines or Parquet';

const UTF_16 = 'UTF-16: convert it, perhaps with iconv -f UTF-16 -t UTF-8';

/** Files that are often given by mistake, by their first bytes. */
const FOREIGN: readonly (readonly [string, string])[] = [
  ['PK\x03\x04', 'a zip file, as .xlsx and .docx are: unpack it, or save it as CSV or text in UTF-8'],
  ['GGUF', 'a GGUF model'],
  ['ARROW1', 'an Arrow file: save it as Parquet'],
  ['SQLite format 3', 'an SQLite database'],
  ['\x28\xb5\x2f\xfd', 'packed with zstd: unpack it first'],
  ['BZh', 'packed with bzip2: unpack it first'],
  ['\x80\x02', PICKLE],
  ['\x80\x03', PICKLE],
  ['\x80\x04', PICKLE],
  ['\x80\x05', PICKLE],
  ['\x93NUMPY', 'a NumPy array'],
  ['%PDF', 'a PDF: extract its text first'],
  ['\xff\xfe', UTF_16],
  ['\xfe\xff', UTF_16],
];

/** AppError invalid_source: it is none of what can be read. */
export async function openDataFile(path: string, options: OpenOptions): Promise<OpenedFile> {
  const { name } = options;
  const packedHead = await readHead(path, name);
  const isGzipped = packedHead[0] === 0x1f && packedHead[1] === 0x8b;
  const head = isGzipped ? await firstBytes(gunzipped(path, name)) : packedHead;
  const beginning = head.toString('latin1', 0, 16);
  const foreign = FOREIGN.find(([magic]) => beginning.startsWith(magic));
  if (foreign) throw new AppError('invalid_source', `${name} is ${foreign[1]}`);
  const bareName = name.toLowerCase().replace(/\.gz$/, '');
  if (head.toString('latin1', 0, 4) === 'PAR1') {
    if (isGzipped) throw new AppError('invalid_source', `${name} is a Parquet file inside of gzip: unpack it first`);
    return { type: 'parquet', isGzipped, readings: readParquet(path, name) };
  }
  if (bareName.endsWith('.parquet')) throw new AppError('invalid_source', `${name} is no Parquet file`);
  if (head.includes(0)) {
    const what = looksLikeUtf16(head)
      ? UTF_16
      : 'binary: JSON, JSON Lines, CSV, Parquet and text are read, packed with gzip or not';
    throw new AppError('invalid_source', `${name} is ${what}`);
  }

  const text = head.toString('utf8').replace(/^\uFEFF/, '');
  const type = options.asText ? 'text' : typeOf(text, bareName, head.length < HEAD_BYTES);
  const chunks = counted(isGzipped ? gunzipped(path, name) : plainChunks(path), options.onBytes);
  return { type, isGzipped, readings: readingsOf(type, chunks, name, text) };
}

function readingsOf(type: Exclude<FileType, 'parquet'>, chunks: AsyncIterable<Buffer>, name: string, head: string) {
  switch (type) {
    case 'json':
      return readJsonValues(chunks, name);
    case 'jsonl':
      return readJsonLines(chunks);
    case 'csv':
      return readCsv(chunks, { name, head });
    case 'text':
      return readPlainText(chunks);
  }
}

/** `isWhole`: the head is all there is. */
function typeOf(head: string, name: string, isWhole: boolean): Exclude<FileType, 'parquet'> {
  if (/\.(csv|tsv)$/.test(name)) return 'csv';
  if (/^\s*\[\s*[{\]]/.test(head)) return 'json';
  if (/^\s*\{/.test(head)) {
    const lines = head.trimStart().split(/\r?\n/);
    const [first = ''] = lines;
    if (isObject(first)) return 'jsonl';
    // A first line that is longer than the head, or broken: the name decides, and so does what the next line looks like.
    if (/\.(jsonl|ndjson)$/.test(name) || (lines.length === 1 && !isWhole)) return 'jsonl';
    if (/\.json$/.test(name) || /^\{\s*$/.test(first) || /^\{\s*"/.test(first)) return 'json';
  }
  if (/\.(jsonl|ndjson)$/.test(name)) return 'jsonl';
  return /\.json$/.test(name) ? 'json' : 'text';
}

/** Without a mark at its beginning: every second byte of what is mostly ASCII is zero, and no other. */
function looksLikeUtf16(head: Buffer): boolean {
  const zeros = [0, 0];
  for (const [at, byte] of head.entries()) if (byte === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  return head.length >= 8 && Math.min(...zeros) === 0 && Math.max(...zeros) > head.length / 4;
}

function isObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

async function readHead(path: string, name: string): Promise<Buffer> {
  try {
    const handle = await open(path, 'r');
    try {
      if (!(await handle.stat()).isFile()) throw new AppError('invalid_source', `${name} is not a regular file`);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_source', `${name} cannot be opened: ${why}`, { cause });
  }
}

async function firstBytes(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    length += chunk.length;
    if (length >= HEAD_BYTES) break;
  }
  return Buffer.concat(parts).subarray(0, HEAD_BYTES);
}

function plainChunks(path: string): AsyncIterable<Buffer> {
  return createReadStream(path, { highWaterMark: CHUNK_BYTES });
}

async function* gunzipped(path: string, name: string): AsyncGenerator<Buffer> {
  let packed = 0;
  let unpacked = 0;
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      packed += chunk.length;
      done(null, chunk);
    },
  });
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  // An error of any of them destroys the last, which is the one that is read.
  pipeline(createReadStream(path), count, gunzip, () => undefined);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      unpacked += chunk.length;
      if (unpacked > EXPANSION_ALLOWANCE && unpacked > packed * MOST_EXPANSION) {
        throw new AppError(
          'invalid_source',
          `${name} unpacks to more than ${MOST_EXPANSION} times its size, which no text does; if it is meant so, unpack it first`,
        );
      }
      yield chunk;
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('invalid_source', `${name} cannot be unpacked: ${why}`, { cause });
  }
}

async function* counted(
  chunks: AsyncIterable<Buffer>,
  onBytes: ((bytes: number) => void) | undefined,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    onBytes?.(chunk.length);
    yield chunk;
  }
}
