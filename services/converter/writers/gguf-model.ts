/**
 * A checkpoint as one GGUF file for llama.cpp: its shape and text as metadata, its tensors under ggml's names, in ggml's order of rows,
 * in the type each is kept in.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { ggufName, type Rearrangement } from '../readers/gguf-names.ts';
import { interleavedRows, transposed } from '../readers/rearrange.ts';
import { bytesOf, type GgufTensorData, type MetadataEntry, writeGguf } from './gguf-file.ts';
import { describeShape } from './gguf-metadata.ts';
import { describeText } from './gguf-tokenizer.ts';
import type { WrittenWeights } from './hugging-face-folder.ts';
import { STORAGE_TYPES, type StorageType } from './storage-types.ts';
import { countTensors, type WritingProgress } from './writing-progress.ts';

export const GGUF_PRECISIONS = ['f32', 'f16', 'q8_0', 'q4_0'] as const;
export type GgufPrecision = (typeof GGUF_PRECISIONS)[number];

/** The type of most matrices, and llama.cpp's number for a file of that kind (`general.file_type`). */
const KINDS: Readonly<Record<GgufPrecision, { matrices: StorageType; fileType: number }>> = {
  f32: { matrices: STORAGE_TYPES.F32, fileType: 0 },
  f16: { matrices: STORAGE_TYPES.F16, fileType: 1 },
  q8_0: { matrices: STORAGE_TYPES.Q8_0, fileType: 7 },
  q4_0: { matrices: STORAGE_TYPES.Q4_0, fileType: 2 },
};
/** Of the layout of quantized blocks (ggml.h). */
const QUANTIZATION_VERSION = 2;

export interface WrittenGguf extends WrittenWeights {
  /** For people: where llama.cpp will compute something else. */
  readonly notes: readonly string[];
}

/** `tensors` are those that belong to the model. AppError unsupported_source names what has no form in a GGUF file. */
export async function writeGgufModel(
  path: string,
  checkpoint: Checkpoint,
  spec: DecoderSpec,
  tensors: readonly SourceTensor[],
  precision: GgufPrecision,
  onProgress: (done: WritingProgress) => void,
): Promise<WrittenGguf> {
  const shape = await describeShape(checkpoint, spec);
  const { matrices, fileType } = KINDS[precision];
  const metadata: MetadataEntry[] = [
    ['general.architecture', { text: shape.architecture }],
    ['general.type', { text: 'model' }],
    ['general.file_type', { u32: fileType }],
    ['general.quantization_version', { u32: QUANTIZATION_VERSION }],
    ...shape.metadata,
    ...describeText(checkpoint.text, spec.vocabSize, checkpoint.label),
  ];
  const head = spec.head ? 'output.weight' : 'token_embd.weight';
  const stored = [
    ...shape.divisors.map(({ name, values }) => ({
      name,
      shape: [values.length],
      type: STORAGE_TYPES.F32,
      read: async () => values,
    })),
    ...tensors.map((tensor) =>
      ggufTensor(tensor, checkpoint, spec, shape.architecture, (name, rows) =>
        typeFor(name, rows, name === head && precision === 'q4_0' ? STORAGE_TYPES.Q8_0 : matrices),
      ),
    ),
  ];
  const total = stored.reduce((sum, tensor) => sum + bytesOf(tensor), 0);
  await writeGguf(path, metadata, stored, countTensors(total, onProgress));
  const parameters = tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((a, b) => a * b, 1), 0);
  return { tensors: stored.length, parameters, bytes: total, notes: shape.notes };
}

/**
 * As llama.cpp's converter keeps them: vectors and learned positions exact, matrices in the file's type where their rows are whole
 * blocks of it, in F16 otherwise. The matrix that gives the logits is kept finer than 4 bits, as llama.cpp's quantizer does.
 */
function typeFor(name: string, shape: readonly number[], matrices: StorageType): StorageType {
  if (shape.length < 2 || name === 'position_embd.weight') return STORAGE_TYPES.F32;
  return (shape.at(-1) ?? 0) % matrices.blockSize === 0 ? matrices : STORAGE_TYPES.F16;
}

function ggufTensor(
  tensor: SourceTensor,
  checkpoint: Checkpoint,
  spec: DecoderSpec,
  architecture: string,
  type: (name: string, shape: readonly number[]) => StorageType,
): GgufTensorData {
  const mapped = ggufName(architecture, tensor.name);
  if (!mapped) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: the tensor ${tensor.name} has no name in a GGUF file of a ${architecture}`,
    );
  }
  const { name, rearrangement } = mapped;
  const shape = rearrangement === 'transpose' ? tensor.shape.toReversed() : tensor.shape;
  return { name, shape, type: type(name, shape), read: () => readRearranged(tensor, rearrangement, spec) };
}

async function readRearranged(
  tensor: SourceTensor,
  rearrangement: Rearrangement,
  spec: DecoderSpec,
): Promise<Float32Array> {
  const [rows = 1, columns = 1] = tensor.shape;
  switch (rearrangement) {
    case 'none':
      return tensor.read();
    case 'transpose':
      return tensor.transposed ? tensor.transposed.read() : transposed(await tensor.read(), rows, columns);
    case 'plus-one':
      return (await tensor.read()).map((value) => value + 1);
    case 'rotary-query':
      return interleavedRows(await tensor.read(), spec.heads, columns);
    case 'rotary-key':
      return interleavedRows(await tensor.read(), spec.kvHeads, columns);
  }
}
