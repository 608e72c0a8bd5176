/**
 * A GGUF file as a checkpoint: header, names, tokenizer and lazy tensors brought together. A tensor is read in pieces of bounded
 * size, so that only its float32 result is ever whole in memory.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { type GgufTensor, readGgufHeader } from './gguf.ts';
import { huggingFaceConfig } from './gguf-config.ts';
import { huggingFaceName, type Rearrangement } from './gguf-names.ts';
import { nameDivisors } from './gguf-rope.ts';
import { ggufText } from './gguf-tokenizer.ts';
import { halfSplitRows, transposed } from './rearrange.ts';
import { describeFile, SourceFile } from './source-file.ts';

/** Stored bytes that are in memory at once. */
const READ_BYTES = 4 << 20;

/** AppError invalid_source or unsupported_source. The file stays open until `close`. */
export async function openGguf(path: string): Promise<Checkpoint> {
  const file = await SourceFile.open(path);
  try {
    const [description, header] = await Promise.all([describeFile(file), readGgufHeader(file)]);
    const config = huggingFaceConfig(header, file.name);
    if (header.tensors.length === 0) {
      throw new AppError('invalid_source', `${file.name}: holds no tensors, only metadata`);
    }
    const architecture = String(header.metadata.get('general.architecture'));
    const tensors = new Map<string, SourceTensor>();
    for (const stored of header.tensors) {
      const { name, rearrangement } = huggingFaceName(architecture, stored.name);
      if (tensors.has(name)) throw new AppError('invalid_source', `${file.name}: two tensors are ${name}`);
      tensors.set(name, sourceTensor(file, stored, name, rearrangement, config));
    }
    await nameDivisors(config, tensors);
    return {
      kind: 'gguf',
      label: file.name,
      files: [description],
      config,
      tensors,
      text: ggufText(header, file.name),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function sourceTensor(
  file: SourceFile,
  stored: GgufTensor,
  name: string,
  rearrangement: Rearrangement,
  config: Readonly<Record<string, unknown>>,
): SourceTensor {
  const base = { name, shape: stored.shape, dtype: stored.type.name };
  if (rearrangement === 'transpose') {
    const [rows = 0, columns = 0] = stored.shape;
    return {
      ...base,
      shape: [columns, rows],
      read: async () => transposed(await readFloats(file, stored), rows, columns),
      transposed: sourceTensor(file, stored, name, 'none', config),
    };
  }
  if (rearrangement === 'plus-one') {
    return { ...base, read: async () => (await readFloats(file, stored)).map((value) => value - 1) };
  }
  const heads = rotaryHeads(file, stored, rearrangement, config);
  const ordered = <T extends Float32Array | Uint8Array>(rows: T, width: number) =>
    heads === undefined ? rows : halfSplitRows(rows, heads, width);
  const width = stored.shape.length > 1 ? (stored.shape.at(-1) ?? 1) : 1;
  const read = async () => ordered(await readFloats(file, stored), width);
  if (!stored.type.unpack) return { ...base, read };
  return {
    ...base,
    read,
    readBlocks: async () => {
      const { q, scales, minimums } = await readBlocks(file, stored);
      return { q: ordered(q, width), scales: ordered(scales, width / 32), minimums: ordered(minimums, width / 32) };
    },
  };
}

/** Heads whose rows are to be put in order; undefined when the tensor has none. */
function rotaryHeads(
  file: SourceFile,
  stored: GgufTensor,
  rearrangement: Rearrangement,
  config: Readonly<Record<string, unknown>>,
): number | undefined {
  if (rearrangement !== 'rotary-query' && rearrangement !== 'rotary-key') return undefined;
  const heads = config[rearrangement === 'rotary-query' ? 'num_attention_heads' : 'num_key_value_heads'];
  const rows = stored.shape[0] ?? 0;
  if (typeof heads !== 'number' || !Number.isInteger(heads) || heads < 1 || rows % (2 * heads) !== 0) {
    throw new AppError(
      'invalid_source',
      `${file.name}: ${stored.name} has ${rows} rows for ${JSON.stringify(heads)} heads`,
    );
  }
  return heads;
}

async function readFloats(file: SourceFile, stored: GgufTensor): Promise<Float32Array> {
  const out = new Float32Array((stored.bytes / stored.type.blockBytes) * stored.type.blockSize);
  await eachPiece(file, stored, (raw, blocks, at) => stored.type.dequantize(raw, blocks, out, at));
  return out;
}

async function readBlocks(file: SourceFile, stored: GgufTensor) {
  const weights = (stored.bytes / stored.type.blockBytes) * stored.type.blockSize;
  const into = {
    q: new Uint8Array(weights),
    scales: new Float32Array(weights / 32),
    minimums: new Float32Array(weights / 32),
  };
  await eachPiece(file, stored, (raw, blocks, at) => stored.type.unpack?.(raw, blocks, into, at));
  return into;
}

/** Hands over the stored bytes in runs of whole blocks; `at` is the index of the run's first weight. */
async function eachPiece(
  file: SourceFile,
  stored: GgufTensor,
  use: (raw: Uint8Array, blocks: number, at: number) => void,
): Promise<void> {
  const { blockBytes, blockSize } = stored.type;
  const perRead = Math.floor(READ_BYTES / blockBytes);
  const blocks = stored.bytes / blockBytes;
  const buffer = Buffer.allocUnsafeSlow(Math.min(perRead, blocks) * blockBytes);
  for (let first = 0; first < blocks; first += perRead) {
    const count = Math.min(perRead, blocks - first);
    const raw = buffer.subarray(0, count * blockBytes);
    await file.readInto(raw, stored.position + first * blockBytes);
    use(raw, count, first * blockSize);
  }
}
