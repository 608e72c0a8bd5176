/**
 * Writes small GGUF files for tests, true ones and lying ones. Knows the layout (ggml, docs/gguf.md), not the reader.
 */

export interface GgufTensorSpec {
  readonly name: string;
  /** As GGUF writes them: fastest first. */
  readonly dims: readonly (number | bigint)[];
  /** ggml's number. */
  readonly type: number;
  readonly data: Uint8Array;
  /** A lie, when given. */
  readonly offset?: number | bigint;
}

export interface GgufSpec {
  readonly version?: number;
  /** Encoded values, of `u32`, `text` ... */
  readonly metadata: readonly (readonly [string, Uint8Array])[];
  readonly tensors: readonly GgufTensorSpec[];
  /** Lies, when given. */
  readonly tensorCount?: bigint;
  readonly metadataCount?: bigint;
}

const ALIGNMENT = 32;

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

export function f32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeFloatLE(value, i * 4);
  return bytes;
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

/** Values of metadata, with their type in front. */
export const value = {
  u32: (number: number) => Buffer.concat([u32(4), u32(number)]),
  f32: (number: number) => Buffer.concat([u32(6), f32(number)]),
  bool: (truth: boolean) => Buffer.concat([u32(7), Buffer.of(truth ? 1 : 0)]),
  text: (text: string) => Buffer.concat([u32(8), string(text)]),
  texts: (texts: readonly string[]) => Buffer.concat([u32(9), u32(8), u64(texts.length), ...texts.map(string)]),
  i32s: (numbers: readonly number[]) => Buffer.concat([u32(9), u32(5), u64(numbers.length), ...numbers.map(u32)]),
  f32s: (numbers: readonly number[]) => Buffer.concat([u32(9), u32(6), u64(numbers.length), f32(...numbers)]),
};

export function ggufBytes(spec: GgufSpec): Buffer {
  const parts: Uint8Array[] = [
    Buffer.from('GGUF'),
    u32(spec.version ?? 3),
    u64(spec.tensorCount ?? spec.tensors.length),
    u64(spec.metadataCount ?? spec.metadata.length),
  ];
  for (const [key, encoded] of spec.metadata) parts.push(string(key), encoded);
  let offset = 0;
  for (const tensor of spec.tensors) {
    parts.push(string(tensor.name), u32(tensor.dims.length), ...tensor.dims.map(u64));
    parts.push(u32(tensor.type), u64(tensor.offset ?? offset));
    offset += padded(tensor.data.length);
  }
  const header = Buffer.concat(parts);
  const data = spec.tensors.map((tensor) => withPadding(tensor.data));
  return Buffer.concat([withPadding(header), ...data]);
}

function padded(length: number): number {
  return Math.ceil(length / ALIGNMENT) * ALIGNMENT;
}

function withPadding(bytes: Uint8Array): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)]);
}
