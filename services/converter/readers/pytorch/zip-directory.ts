/**
 * The entries of a zip file by its central directory (PKWARE APPNOTE 6.3, with zip64), each checked to lie inside the file and beside
 * the others. Stored entries only: what is read is what lies there. Knows nothing of torch.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceFile } from '../source-file.ts';

export interface ZipEntry {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Where its local header begins, and where the next thing in the file does. */
  readonly header: number;
  readonly limit: number;
}

const END_BYTES = 22;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT = 65_535;
const MAX_DIRECTORY_BYTES = 64 << 20;
const IN_ZIP64 = 0xffffffff;

/** Entries by name. AppError invalid_source (broken), unsupported_source (compressed or encrypted entries). */
export async function readZipDirectory(file: SourceFile): Promise<Map<string, ZipEntry>> {
  const { start, bytes, count } = await findDirectory(file);
  const directory = await file.read(start, bytes);
  const fail = (fault: string) => new AppError('invalid_source', `${file.name}: ${fault}`);
  const found: { name: string; size: number; header: number; least: number }[] = [];
  let at = 0;
  while (at < bytes) {
    if (bytes - at < CENTRAL_BYTES || directory.readUInt32LE(at) !== 0x02014b50) {
      throw fail(`the zip directory is broken at its byte ${at}`);
    }
    const nameBytes = directory.readUInt16LE(at + 28);
    const extraBytes = directory.readUInt16LE(at + 30);
    const end = at + CENTRAL_BYTES + nameBytes + extraBytes + directory.readUInt16LE(at + 32);
    if (end > bytes) throw fail(`the zip directory is broken at its byte ${at}`);
    const nameEnd = at + CENTRAL_BYTES + nameBytes;
    const name = directory.toString('utf8', at + CENTRAL_BYTES, nameEnd);
    const quoted = JSON.stringify(name);
    // Nothing is unpacked, yet such a name is never that of a checkpoint.
    if (name.startsWith('/') || /\\|\0/.test(name) || name.split('/').includes('..')) {
      throw fail(`the zip entry ${quoted} points outside the file`);
    }
    const flags = directory.readUInt16LE(at + 8);
    const method = directory.readUInt16LE(at + 10);
    if (method !== 0 || (flags & 1) !== 0) {
      throw new AppError(
        'unsupported_source',
        `${file.name}: the zip entry ${quoted} is ${method === 0 ? 'encrypted' : 'compressed'}; torch.save stores entries as they are: save it again with torch`,
      );
    }
    const extra = zip64Extra(directory.subarray(nameEnd, nameEnd + extraBytes));
    // In this order, and only those that do not fit where they belong.
    const [size, packed, header] = [24, 20, 42].map((field) => {
      const value = directory.readUInt32LE(at + field);
      return value === IN_ZIP64 ? extra() : value;
    });
    if (size === undefined || packed === undefined || header === undefined) {
      throw fail(`the zip entry ${quoted} has no sizes`);
    }
    if (size !== packed) throw fail(`the zip entry ${quoted} is stored, yet has two sizes: ${size} and ${packed}`);
    found.push({ name, size, header, least: header + LOCAL_BYTES + nameBytes + size });
    at = end;
  }
  if (found.length !== count) throw fail(`the zip directory has ${found.length} entries and claims ${count}`);

  const entries = new Map<string, ZipEntry>();
  const inOrder = found.toSorted((a, b) => a.header - b.header);
  for (const [i, { name, size, header, least }] of inOrder.entries()) {
    const limit = inOrder[i + 1]?.header ?? start;
    if (!Number.isSafeInteger(least) || least > limit) {
      throw fail(
        `the zip entry ${JSON.stringify(name)} of ${size} bytes at ${header} reaches into what follows at ${limit}`,
      );
    }
    if (entries.has(name)) throw fail(`the zip entry ${JSON.stringify(name)} is there twice`);
    entries.set(name, { name, size, header, limit });
  }
  return entries;
}

/** Where an entry's bytes begin. Its local header is read only now. AppError invalid_source when that is another entry's. */
export async function entryPosition(file: SourceFile, entry: ZipEntry): Promise<number> {
  const fail = (fault: string) =>
    new AppError('invalid_source', `${file.name}: the zip entry ${JSON.stringify(entry.name)} ${fault}`);
  const local = await file.read(entry.header, LOCAL_BYTES);
  if (local.readUInt32LE(0) !== 0x04034b50) throw fail(`has no header at ${entry.header}`);
  const nameBytes = local.readUInt16LE(26);
  const position = entry.header + LOCAL_BYTES + nameBytes + local.readUInt16LE(28);
  if (position + entry.size > entry.limit) throw fail(`reaches into what follows at ${entry.limit}`);
  const name = await file.read(entry.header + LOCAL_BYTES, nameBytes);
  if (name.toString('utf8') !== entry.name) throw fail('has another name in its header');
  return position;
}

async function findDirectory(file: SourceFile): Promise<{ start: number; bytes: number; count: number }> {
  const fail = (fault: string) => new AppError('invalid_source', `${file.name}: ${fault}`);
  const tailBytes = Math.min(file.size, END_BYTES + MAX_COMMENT + LOCATOR_BYTES);
  const tailStart = file.size - tailBytes;
  const tail = await file.read(tailStart, tailBytes);
  let at = tailBytes - END_BYTES;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === 0x06054b50 && at + END_BYTES + tail.readUInt16LE(at + 20) === tailBytes)
  )
    at--;
  if (at < 0) throw fail('the end of the zip file is missing: truncated?');
  let count = tail.readUInt16LE(at + 10);
  let bytes = tail.readUInt32LE(at + 12);
  let start = tail.readUInt32LE(at + 16);
  let end = tailStart + at;
  const locator = at - LOCATOR_BYTES;
  if (locator >= 0 && tail.readUInt32LE(locator) === 0x07064b50) {
    const position = Number(tail.readBigUInt64LE(locator + 8));
    if (position + END64_BYTES > end) throw fail('the zip64 end lies behind the end');
    const end64 = await file.read(position, END64_BYTES);
    if (end64.readUInt32LE(0) !== 0x06064b50) throw fail(`there is no zip64 end at ${position}`);
    count = Number(end64.readBigUInt64LE(32));
    bytes = Number(end64.readBigUInt64LE(40));
    start = Number(end64.readBigUInt64LE(48));
    end = position;
  }
  if (bytes > MAX_DIRECTORY_BYTES)
    throw fail(`claims a zip directory of ${bytes} bytes; the limit is ${MAX_DIRECTORY_BYTES}`);
  if (start + bytes !== end) throw fail(`the zip directory of ${bytes} bytes at ${start} does not end at ${end}`);
  return { start, bytes, count };
}

/** The 64-bit numbers of the zip64 field, one per call; undefined when there are no more. */
function zip64Extra(extra: Buffer): () => number | undefined {
  let at = 0;
  let end = 0;
  for (let field = 0; field + 4 <= extra.length; field += 4 + extra.readUInt16LE(field + 2)) {
    if (extra.readUInt16LE(field) !== 1) continue;
    at = field + 4;
    end = Math.min(extra.length, at + extra.readUInt16LE(field + 2));
    break;
  }
  return () => {
    if (at + 8 > end) return undefined;
    at += 8;
    return Number(extra.readBigUInt64LE(at - 8));
  };
}
