/**
 * One .safetensors file: its header, validated as the reference implementation does (huggingface/safetensors, tensor.rs), and its
 * tensors, read when asked for and in pieces. Knows no model.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { SourceTensor } from '../checkpoint.ts';
import { GGML_TYPES } from './gguf-dequantize.ts';
import type { SourceFile } from './source-file.ts';
import { parseStrictJson } from './strict-json.ts';

const MAX_HEADER_BYTES = 100_000_000;
const READ_BYTES = 4 << 20;

/** Bits of one element. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
};

/** Elements from stored bytes to `out` at `at`. */
type Convert = (raw: Buffer, count: number, out: Float32Array, at: number) => void;

const READ_AS: Readonly<Record<string, Convert | undefined>> = {
  F32: GGML_TYPES.get(0)?.dequantize,
  F16: GGML_TYPES.get(1)?.dequantize,
  BF16: GGML_TYPES.get(30)?.dequantize,
  F64: (raw, count, out, at) => {
    for (let i = 0; i < count; i++) out[at + i] = raw.readDoubleLE(i * 8);
  },
};

const natural = z.number().int().nonnegative();
const Header = z.record(
  z.string(),
  z.strictObject({ dtype: z.string(), shape: z.array(natural), data_offsets: z.tuple([natural, natural]) }),
);
const Metadata = z.record(z.string(), z.string());

/** The tensors of a file by name. AppError invalid_source names the fault. */
export async function readSafetensors(file: SourceFile): Promise<Map<string, SourceTensor>> {
  const fail = (fault: string) => new AppError('invalid_source', `${file.name}: ${fault}`);
  if (file.size < 8) throw fail(`${file.size} bytes are too few for a safetensors header`);
  const length = (await file.read(0, 8)).readBigUInt64LE();
  if (length > MAX_HEADER_BYTES) throw fail(`claims a header of ${length} bytes; the limit is ${MAX_HEADER_BYTES}`);
  const dataStart = 8 + Number(length);
  if (dataStart > file.size) throw fail(`claims a header of ${length} bytes, the file has ${file.size}: truncated?`);
  const json = parseStrictJson(await file.read(8, Number(length)), `${file.name}: the header`);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw fail('the header is no object');
  const { __metadata__: metadata, ...entries }: Record<string, unknown> = { ...json };
  if (metadata !== undefined && !Metadata.safeParse(metadata).success) {
    throw fail('__metadata__ holds something other than text');
  }
  const header = Header.safeParse(entries);
  if (!header.success) throw fail(`the header is not that of a safetensors file: ${describeIssues(header.error)}`);

  const tensors = new Map<string, SourceTensor>();
  let end = 0;
  const inOrder = Object.entries(header.data).toSorted(
    ([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  );
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [from, to],
    },
  ] of inOrder) {
    const tensor = `tensor ${JSON.stringify(name)}`;
    if (from !== end) throw fail(`${tensor} begins at ${from}; the one before ends at ${end}`);
    const count = shape.reduce((product, length) => product * length, 1);
    const bits = DTYPE_BITS[dtype];
    if (bits === undefined) throw fail(`${tensor} has the unknown type ${JSON.stringify(dtype)}`);
    if (!Number.isSafeInteger(count * bits)) throw fail(`${tensor} has an impossible shape [${shape}]`);
    if (count * bits !== (to - from) * 8) {
      throw fail(`${tensor} of type ${dtype} and shape [${shape}] has ${to - from} bytes`);
    }
    end = to;
    tensors.set(name, sourceTensor(file, { name, dtype, shape }, dataStart + from, count));
  }
  if (dataStart + end !== file.size) {
    throw fail(`its tensors end at byte ${dataStart + end}, the file at ${file.size}: truncated or something follows`);
  }
  return tensors;
}

function sourceTensor(
  file: SourceFile,
  tensor: Pick<SourceTensor, 'name' | 'dtype' | 'shape'>,
  position: number,
  count: number,
): SourceTensor {
  return {
    ...tensor,
    read: async () => {
      const convert = READ_AS[tensor.dtype];
      if (!convert) {
        throw new AppError(
          'unsupported_source',
          `${file.name}: tensor ${JSON.stringify(tensor.name)} is stored as ${tensor.dtype}; weights are read as F32, F16, BF16 or F64`,
        );
      }
      const out = new Float32Array(count);
      const bytes = (DTYPE_BITS[tensor.dtype] ?? 0) / 8;
      const perRead = READ_BYTES / bytes;
      const buffer = Buffer.allocUnsafeSlow(Math.min(perRead, count) * bytes);
      for (let first = 0; first < count; first += perRead) {
        const part = Math.min(perRead, count - first);
        await file.readInto(buffer.subarray(0, part * bytes), position + first * bytes);
        convert(buffer, part, out, first);
      }
      return out;
    },
  };
}
