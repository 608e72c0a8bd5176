/**
 * Rewrites a GGUF file's Q4_1 (or F32, F16) matrices as Q4_0, whose repacked kernels are llama.cpp's fastest. Embeddings stay as
 * they are, as llama.cpp's own quantizer leaves a tied output matrix at a finer type. Everything else is copied as it stands.
 * Source: ggml's quantize_row_q4_0_ref and the GGUF v3 layout.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const TYPE = { F32: 0, F16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 8 } as const;
/** Bytes per block, elements per block. */
const BLOCK: Readonly<Record<number, readonly [number, number]>> = {
  [TYPE.F32]: [4, 1],
  [TYPE.F16]: [2, 1],
  [TYPE.Q4_0]: [18, 32],
  [TYPE.Q4_1]: [20, 32],
  [TYPE.Q8_0]: [34, 32],
};
/** Bytes of a metadata value's type; 8 is a string, 9 an array. */
const SCALAR_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const ALIGNMENT = 32;

interface Tensor {
  name: Buffer;
  dims: number[];
  type: number;
  data: Buffer;
}

export function rewriteAsQ4_0(source: string, target: string): void {
  const file = readFileSync(source);
  const { metadata, tensors } = parse(file);
  const rewritten = tensors.map((tensor) => {
    const convertible =
      tensor.dims.length === 2 && tensor.type !== TYPE.Q8_0 && tensor.name.toString() !== 'token_embd.weight';
    return convertible ? { ...tensor, type: TYPE.Q4_0, data: toQ4_0(tensor) } : tensor;
  });
  const infos: Buffer[] = [];
  const parts: Buffer[] = [];
  let offset = 0;
  for (const { name, dims, type, data } of rewritten) {
    const info = Buffer.alloc(8 + name.length + 4 + dims.length * 8 + 4 + 8);
    let at = info.writeBigUInt64LE(BigInt(name.length));
    at += name.copy(info, at);
    at = info.writeUInt32LE(dims.length, at);
    for (const dim of dims) at = info.writeBigUInt64LE(BigInt(dim), at);
    at = info.writeUInt32LE(type, at);
    info.writeBigUInt64LE(BigInt(offset), at);
    infos.push(info);
    const padding = align(data.length) - data.length;
    parts.push(data, Buffer.alloc(padding));
    offset += data.length + padding;
  }
  const header = Buffer.concat([metadata, ...infos]);
  writeFileSync(target, Buffer.concat([header, Buffer.alloc(align(header.length) - header.length), ...parts]));
}

/** `metadata`: everything before the first tensor's description, as it stands. */
function parse(file: Buffer): { metadata: Buffer; tensors: Tensor[] } {
  if (file.toString('latin1', 0, 4) !== 'GGUF' || file.readUInt32LE(4) !== 3) throw new Error('no GGUF version 3 file');
  const count = Number(file.readBigUInt64LE(8));
  let at = 24;
  const take = (bytes: number): Buffer => {
    at += bytes;
    return file.subarray(at - bytes, at);
  };
  const u64 = () => Number(take(8).readBigUInt64LE());
  const u32 = () => take(4).readUInt32LE();
  const skip = (type: number): void => {
    if (type === 8) take(u64());
    else if (type === 9) {
      const inner = u32();
      for (let rest = u64(); rest > 0; rest--) skip(inner);
    } else take(SCALAR_BYTES[type] ?? 0);
  };
  for (let rest = Number(file.readBigUInt64LE(16)); rest > 0; rest--) {
    take(u64());
    skip(u32());
  }
  const metadata = file.subarray(0, at);
  const infos = Array.from({ length: count }, () => {
    const name = take(u64());
    const dims = Array.from({ length: u32() }, u64);
    return { name, dims, type: u32(), offset: u64() };
  });
  const base = align(at);
  return {
    metadata,
    tensors: infos.map(({ name, dims, type, offset }) => {
      const block = BLOCK[type];
      if (!block) throw new Error(`${name}: tensor type ${type} cannot be rewritten`);
      const bytes = (dims.reduce((product, dim) => product * dim, 1) / block[1]) * block[0];
      return { name, dims, type, data: file.subarray(base + offset, base + offset + bytes) };
    }),
  };
}

function toQ4_0(tensor: Tensor): Buffer {
  const values = toFloats(tensor);
  const out = Buffer.alloc((values.length / 32) * 18);
  for (let block = 0; block < values.length / 32; block++) {
    const weights = values.subarray(block * 32, block * 32 + 32);
    let extreme = 0;
    for (const value of weights) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
    const scale = extreme / -8;
    const inverse = scale === 0 ? 0 : 1 / scale;
    new DataView(out.buffer, out.byteOffset).setFloat16(block * 18, scale, true);
    for (let index = 0; index < 16; index++) {
      const low = Math.min(15, Math.trunc((weights[index] ?? 0) * inverse + 8.5));
      const high = Math.min(15, Math.trunc((weights[index + 16] ?? 0) * inverse + 8.5));
      out[block * 18 + 2 + index] = low | (high << 4);
    }
  }
  return out;
}

function toFloats({ name, dims, type, data }: Tensor): Float32Array {
  const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (type === TYPE.F32) return values.map((_, index) => view.getFloat32(index * 4, true));
  if (type === TYPE.F16) return values.map((_, index) => view.getFloat16(index * 2, true));
  if (type !== TYPE.Q4_1) throw new Error(`${name}: tensor type ${type} cannot be rewritten as Q4_0`);
  for (let block = 0; block < values.length / 32; block++) {
    const scale = view.getFloat16(block * 20, true);
    const minimum = view.getFloat16(block * 20 + 2, true);
    for (let index = 0; index < 16; index++) {
      const byte = data[block * 20 + 4 + index] ?? 0;
      values[block * 32 + index] = (byte & 15) * scale + minimum;
      values[block * 32 + 16 + index] = (byte >> 4) * scale + minimum;
    }
  }
  return values;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
