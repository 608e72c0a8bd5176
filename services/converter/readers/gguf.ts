/**
 * A GGUF header (versions 2 and 3, little-endian): metadata, and where each tensor's bytes lie. Nothing in the file is
 * believed before it is checked: every size has a named limit. Layout: ggml's docs/gguf.md. Knows no architecture.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { GGML_TYPES, type GgmlType, OTHER_GGML_TYPES } from './gguf-dequantize.ts';
import type { SourceFile } from './source-file.ts';

const MAX_HEADER_BYTES = 128 << 20;
const MAX_METADATA = 65_536;
const MAX_TENSORS = 65_536;
const MAX_KEY_BYTES = 65_535;
const MAX_TENSOR_NAME_BYTES = 4_096;
const MAX_STRING_BYTES = 16 << 20;
/** In all arrays together: an item takes more memory than its one byte in the file may. */
const MAX_ARRAY_ITEMS = 8 << 20;
const MAX_ARRAY_DEPTH = 2;
const MAX_DIMENSIONS = 4;
const MAX_ALIGNMENT = 1 << 20;
const DEFAULT_ALIGNMENT = 32;
/** What is read at first: enough for most headers, whose bulk is the vocabulary. */
const FIRST_READ = 4 << 20;

export type GgufValue = number | boolean | string | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** As in PyTorch: slowest first (GGUF itself writes them fastest first). */
  readonly shape: readonly number[];
  readonly type: GgmlType;
  /** Of the first byte, in the file. */
  readonly position: number;
  readonly bytes: number;
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

/** AppError invalid_source names the fault; unsupported_source names the version or the tensor type. */
export async function readGgufHeader(file: SourceFile): Promise<GgufHeader> {
  // A string cannot be found without the ones before it, so the header is parsed from one buffer, and again from a
  // larger one when it was too short: at most twice the work, and never an await per string.
  const limit = Math.min(file.size, MAX_HEADER_BYTES);
  for (let length = Math.min(FIRST_READ, limit); ; length = Math.min(length * 4, limit)) {
    const cursor = new Cursor(await file.read(0, length), file);
    try {
      return parse(cursor, file);
    } catch (error) {
      if (!(error instanceof EndOfBuffer)) throw error;
      if (length === limit) {
        const why = limit < file.size ? `its header is over the limit of ${MAX_HEADER_BYTES} bytes` : 'it is truncated';
        throw new AppError('invalid_source', `${file.name}: ${why} (the header goes on after byte ${limit})`);
      }
    }
  }
}

class EndOfBuffer extends Error {}

function parse(cursor: Cursor, file: SourceFile): GgufHeader {
  const fail = (fault: string) => new AppError('invalid_source', `${file.name}: ${fault}`);
  if (cursor.bytes(4).toString('latin1') !== 'GGUF') throw fail('does not begin with "GGUF"');
  const version = cursor.u32();
  if (version === 0x02000000 || version === 0x03000000) {
    throw new AppError('unsupported_source', `${file.name}: a big-endian GGUF file; convert it to little-endian first`);
  }
  if (version !== 2 && version !== 3) {
    throw new AppError('unsupported_source', `${file.name}: GGUF version ${version}; versions 2 and 3 are read`);
  }
  const tensorCount = cursor.count('tensors', MAX_TENSORS);
  const metadataCount = cursor.count('metadata entries', MAX_METADATA);

  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < metadataCount; i++) {
    const key = cursor.string('a metadata key', MAX_KEY_BYTES);
    if (metadata.has(key)) throw fail(`metadata key ${JSON.stringify(key)} stands there twice`);
    metadata.set(key, cursor.value(cursor.u32(), key, 0));
  }

  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (typeof alignment !== 'number' || alignment < 8 || alignment > MAX_ALIGNMENT || alignment % 8 !== 0) {
    throw fail(`general.alignment is ${JSON.stringify(alignment)}; a multiple of 8 up to ${MAX_ALIGNMENT} is allowed`);
  }

  const found: { name: string; shape: number[]; type: GgmlType; offset: number; bytes: number }[] = [];
  const names = new Set<string>();
  for (let i = 0; i < tensorCount; i++) {
    const name = cursor.string('a tensor name', MAX_TENSOR_NAME_BYTES);
    if (names.has(name)) throw fail(`tensor ${JSON.stringify(name)} stands there twice`);
    names.add(name);
    found.push({ name, ...tensorInfo(cursor, file, name, alignment) });
  }

  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = found.map(({ offset, ...tensor }) => ({ ...tensor, position: dataStart + offset }));
  checkRanges(tensors, file);
  return { metadata, tensors };
}

function tensorInfo(cursor: Cursor, file: SourceFile, name: string, alignment: number) {
  const fail = (fault: string) =>
    new AppError('invalid_source', `${file.name}: tensor ${JSON.stringify(name)} ${fault}`);
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) throw fail(`has ${dimensions} dimensions`);
  const shape: number[] = [];
  let weights = 1;
  for (let d = 0; d < dimensions; d++) {
    const length = cursor.u64();
    weights *= length;
    if (!Number.isSafeInteger(weights)) throw fail('has an impossible shape');
    shape.unshift(length);
  }
  const typeNumber = cursor.u32();
  const type = GGML_TYPES.get(typeNumber);
  if (!type) {
    const called = OTHER_GGML_TYPES[typeNumber] ?? `number ${typeNumber}`;
    const known = [...GGML_TYPES.values()].map((t) => t.name).join(', ');
    throw new AppError(
      'unsupported_source',
      `${file.name}: tensor ${JSON.stringify(name)} is stored as ${called}; these are read: ${known}`,
    );
  }
  if ((shape.at(-1) ?? 0) % type.blockSize !== 0) {
    throw fail(`has rows of ${shape.at(-1)} weights, which are no whole blocks of ${type.name}`);
  }
  const bytes = (weights / type.blockSize) * type.blockBytes;
  const offset = cursor.u64();
  if (offset % alignment !== 0) throw fail(`begins at ${offset}, which is not aligned to ${alignment}`);
  return { shape, type, offset, bytes };
}

/** In the file and none inside another: a small file may not claim to be a large model. */
function checkRanges(tensors: readonly GgufTensor[], file: SourceFile): void {
  let end = 0;
  let before = '';
  for (const tensor of tensors.toSorted((a, b) => a.position - b.position)) {
    const name = JSON.stringify(tensor.name);
    if (tensor.position + tensor.bytes > file.size) {
      throw new AppError(
        'invalid_source',
        `${file.name}: tensor ${name} ends at byte ${tensor.position + tensor.bytes}, the file at ${file.size}: truncated?`,
      );
    }
    if (tensor.position < end)
      throw new AppError('invalid_source', `${file.name}: tensors ${before} and ${name} overlap`);
    end = tensor.position + tensor.bytes;
    before = name;
  }
}

/** Reads one buffer from its beginning; EndOfBuffer when it is too short. */
class Cursor {
  position = 0;
  readonly #buffer: Buffer;
  readonly #file: SourceFile;
  #itemsLeft = MAX_ARRAY_ITEMS;

  constructor(buffer: Buffer, file: SourceFile) {
    this.#buffer = buffer;
    this.#file = file;
  }

  #take(length: number): number {
    const start = this.position;
    if (start + length > this.#buffer.length) throw new EndOfBuffer();
    this.position = start + length;
    return start;
  }

  bytes(length: number): Buffer {
    const start = this.#take(length);
    return this.#buffer.subarray(start, start + length);
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  u64(): number {
    const start = this.#take(8);
    const value = this.#buffer.readUInt32LE(start + 4) * 2 ** 32 + this.#buffer.readUInt32LE(start);
    if (!Number.isSafeInteger(value)) throw this.#fail(`a size of ${value} at byte ${start} is impossible`);
    return value;
  }

  count(what: string, limit: number): number {
    const value = this.u64();
    if (value > limit) throw this.#fail(`claims ${value} ${what}; the limit is ${limit}`);
    return value;
  }

  string(what: string, limit: number): string {
    const length = this.u64();
    if (length > limit) throw this.#fail(`${what} claims ${length} bytes; the limit is ${limit}`);
    const start = this.#take(length);
    return this.#buffer.toString('utf8', start, start + length);
  }

  value(type: number, key: string, depth: number): GgufValue {
    const buffer = this.#buffer;
    switch (type) {
      case 0:
        return buffer.readUInt8(this.#take(1));
      case 1:
        return buffer.readInt8(this.#take(1));
      case 2:
        return buffer.readUInt16LE(this.#take(2));
      case 3:
        return buffer.readInt16LE(this.#take(2));
      case 4:
        return buffer.readUInt32LE(this.#take(4));
      case 5:
        return buffer.readInt32LE(this.#take(4));
      case 6:
        return buffer.readFloatLE(this.#take(4));
      case 7:
        return buffer.readUInt8(this.#take(1)) !== 0;
      case 8:
        return this.string(`the value of ${key}`, MAX_STRING_BYTES);
      case 9:
        return this.#array(key, depth + 1);
      // 64-bit values may be larger than a double holds exactly; none that is read here is.
      case 10:
        return Number(buffer.readBigUInt64LE(this.#take(8)));
      case 11:
        return Number(buffer.readBigInt64LE(this.#take(8)));
      case 12:
        return buffer.readDoubleLE(this.#take(8));
      default:
        throw this.#fail(`metadata ${JSON.stringify(key)} has the unknown value type ${type}`);
    }
  }

  #array(key: string, depth: number): GgufValue[] {
    if (depth > MAX_ARRAY_DEPTH) throw this.#fail(`metadata ${JSON.stringify(key)} is nested too deeply`);
    const type = this.u32();
    const length = this.count(`items in ${JSON.stringify(key)}`, this.#itemsLeft);
    this.#itemsLeft -= length;
    // Grown, not allocated: a lying length ends at the buffer's end and costs nothing.
    const items: GgufValue[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(type, key, depth));
    return items;
  }

  #fail(fault: string): AppError {
    return new AppError('invalid_source', `${this.#file.name}: ${fault}`);
  }
}
