/**
 * One .safetensors file: a header that says where every tensor will lie, then the tensors, one in memory at a time.
 * Layout: huggingface/safetensors. Knows no model.
 */
import { OutputFile } from './output-file.ts';
import { STORAGE_TYPES, storedBytes } from './storage-types.ts';

export type FloatType = 'F32' | 'F16' | 'BF16';

export interface StoredTensor {
  readonly name: string;
  /** Row-major, as in PyTorch. */
  readonly shape: readonly number[];
  readonly type: FloatType;
  read(): Promise<Float32Array>;
}

export function tensorBytes({ shape, type }: Pick<StoredTensor, 'shape' | 'type'>): number {
  return storedBytes(
    STORAGE_TYPES[type],
    shape.reduce((product, length) => product * length, 1),
  );
}

/** Gives the file's size. `onTensor` is told the bytes of each tensor that is written. */
export async function writeSafetensors(
  path: string,
  tensors: readonly StoredTensor[],
  onTensor: (bytes: number) => void,
): Promise<number> {
  // Wide types first: then every tensor begins at a multiple of its element's size.
  const inOrder = tensors.toSorted((a, b) => STORAGE_TYPES[b.type].blockBytes - STORAGE_TYPES[a.type].blockBytes);
  const header: [string, unknown][] = [['__metadata__', { format: 'pt' }]];
  let end = 0;
  for (const tensor of inOrder) {
    const begin = end;
    end += tensorBytes(tensor);
    header.push([tensor.name, { dtype: tensor.type, shape: tensor.shape, data_offsets: [begin, end] }]);
  }
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  // The reference ends its header at a multiple of 8 as well, with spaces.
  const padded = Math.ceil(json.length / 8) * 8;
  const head = Buffer.alloc(8 + padded, ' ');
  head.writeBigUInt64LE(BigInt(padded));
  head.set(json, 8);
  return OutputFile.write(path, async (file) => {
    await file.bytes(head);
    for (const tensor of inOrder) {
      await file.values(await tensor.read(), STORAGE_TYPES[tensor.type], tensor.name);
      onTensor(tensorBytes(tensor));
    }
  });
}
