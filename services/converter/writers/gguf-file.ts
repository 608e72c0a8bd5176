/**
 * A GGUF file, version 3, little-endian: metadata, where each tensor lies, then the tensors, one in memory at a time.
 * Layout: ggml's docs/gguf.md. Knows no architecture.
 */
import { OutputFile } from './output-file.ts';
import { type StorageType, storedBytes } from './storage-types.ts';

const ALIGNMENT = 32;

/** ggml's numbers of its types. */
const TYPE_NUMBERS: Readonly<Record<StorageType['name'], number>> = { F32: 0, F16: 1, Q4_0: 2, Q8_0: 8, BF16: 30 };

/** A value of the metadata with the type that llama.cpp expects under its key. */
export type MetadataValue =
  | { readonly u32: number }
  | { readonly f32: number }
  | { readonly bool: boolean }
  | { readonly text: string }
  | { readonly texts: readonly string[] }
  | { readonly i32s: readonly number[] }
  | { readonly f32s: readonly number[] };

export type MetadataEntry = readonly [key: string, value: MetadataValue];

export interface GgufTensorData {
  readonly name: string;
  /** As in PyTorch: slowest first. */
  readonly shape: readonly number[];
  readonly type: StorageType;
  read(): Promise<Float32Array>;
}

/** Gives the file's size. `onTensor` is told the bytes of each tensor that is written. */
export async function writeGguf(
  path: string,
  metadata: readonly MetadataEntry[],
  tensors: readonly GgufTensorData[],
  onTensor: (bytes: number) => void,
): Promise<number> {
  const head = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(metadata.length)];
  for (const [key, value] of metadata) head.push(string(key), encoded(value));
  let offset = 0;
  for (const tensor of tensors) {
    // GGUF names the fastest dimension first.
    head.push(string(tensor.name), u32(tensor.shape.length), ...tensor.shape.toReversed().map(u64));
    head.push(u32(TYPE_NUMBERS[tensor.type.name]), u64(offset));
    offset += Math.ceil(bytesOf(tensor) / ALIGNMENT) * ALIGNMENT;
  }
  return OutputFile.write(path, async (file) => {
    await file.bytes(Buffer.concat(head));
    for (const tensor of tensors) {
      await file.align(ALIGNMENT);
      await file.values(await tensor.read(), tensor.type, tensor.name);
      onTensor(bytesOf(tensor));
    }
    await file.align(ALIGNMENT);
  });
}

export function bytesOf({ shape, type }: GgufTensorData): number {
  return storedBytes(
    type,
    shape.reduce((product, length) => product * length, 1),
  );
}

function encoded(value: MetadataValue): Buffer {
  if ('u32' in value) return Buffer.concat([u32(4), u32(value.u32)]);
  if ('f32' in value) return Buffer.concat([u32(6), f32s([value.f32])]);
  if ('bool' in value) return Buffer.concat([u32(7), Buffer.of(value.bool ? 1 : 0)]);
  if ('text' in value) return Buffer.concat([u32(8), string(value.text)]);
  if ('texts' in value) return array(8, value.texts.length, Buffer.concat(value.texts.map(string)));
  if ('i32s' in value) return array(5, value.i32s.length, Buffer.from(Int32Array.from(value.i32s).buffer));
  return array(6, value.f32s.length, f32s(value.f32s));
}

function array(type: number, length: number, items: Buffer): Buffer {
  return Buffer.concat([u32(9), u32(type), u64(length), items]);
}

function string(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function f32s(values: readonly number[]): Buffer {
  return Buffer.from(Float32Array.from(values).buffer);
}
