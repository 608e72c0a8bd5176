/**
 * int4: weights in 4-bit blocks of 32 inputs with a scale and a zero point each, the embedding in 8-bit blocks; activations int8 per block.
 * A source that already lies on such a grid (GGUF Q4_0, Q4_1, Q4_K) keeps its integers; only where a grid begins is rounded, to 1/16 step.
 * Knows no architecture.
 */
import type { Blocks, Matrix } from '../architectures/decoder-spec.ts';
import { type GraphBuilder, MS } from '../graph/graph-builder.ts';
import { DATA_TYPES, type ExternalTensor } from '../graph/onnx-model.ts';
import type { WeightsFile } from '../writers/weights-file.ts';
import { fitBlocks, liesOnGrid } from './fit-blocks.ts';
import { fitInThreads } from './fit-in-threads.ts';
import { floatScheme } from './float.ts';
import { toHalf } from './half.ts';
import { type ApplyLinear, type Scheme, storeBias } from './scheme.ts';

const BLOCK = 32;
const EMBEDDING_BLOCK = 64;
/** The 4-bit kernels count from here: w = scale * (q - 8). */
const MIDDLE = 8;
const SHIFT_STEPS = 16;
/** Kernels that take activations in int8, block by block. */
const INT8_ACTIVATIONS = 4;

export function int4Scheme(): Scheme {
  return {
    quantizesCache: true,
    multipliesIntegers: false,
    tables: 'float16',
    description:
      'weights in 4-bit blocks of 32 with scale and zero point (or the shift of a 4-bit source), embedding in 8-bit blocks of 64; activations int8 per block; cache int8 per channel',
    prepare: (spec) => spec,
    linear: async (name, linear, _input, file) => {
      // Too narrow for whole blocks: such a matrix is small, and stays exact.
      if (linear.weight.columns % BLOCK !== 0) return floatScheme('float16').linear(name, linear, 'free', file);
      const product = applyBlocks(await storeBlocks(name, linear.weight, file), linear.weight);
      const bias = await storeBias(name, linear.bias, file);
      return (graph, input, result) => bias(graph, product(graph, input, result), result);
    },
    embedding: async (name, matrix, file) => {
      if (matrix.columns % EMBEDDING_BLOCK !== 0) return floatScheme('float16').embedding(name, matrix, file);
      return storeEmbedding(name, matrix, file);
    },
  };
}

interface StoredBlocks {
  /** uint8 [out, in/32, 16], low nibble first. */
  readonly packed: ExternalTensor;
  /** float16 [out, in/32] */
  readonly scales: ExternalTensor;
  /** uint8 [out * ceil(in/64)]: two blocks' zero points in a byte. Null: all are 8. */
  readonly zeroPoints: ExternalTensor | null;
  /** int8 [out, in/32]: how far each block's grid is shifted, in 1/16 of its scale. Null when no block is. */
  readonly shifts: ExternalTensor | null;
}

async function storeBlocks(name: string, matrix: Matrix, file: WeightsFile): Promise<StoredBlocks> {
  const { rows, columns } = matrix;
  const shape = [rows, columns / BLOCK];
  const { q, scales, zeroPoints, shifts } = await gridsOf(matrix);
  const packedZeros = zeroPoints && packRows(zeroPoints, rows, columns / BLOCK);
  return {
    packed: await file.add(`${name}.int4`, 'uint8', [...shape, BLOCK / 2], packNibbles(q)),
    scales: await file.add(`${name}.scale`, 'float16', shape, toHalf(scales)),
    zeroPoints: packedZeros && (await file.add(`${name}.zero_point`, 'uint8', [packedZeros.length], packedZeros)),
    shifts: shifts && (await file.add(`${name}.shift`, 'int8', shape, shifts)),
  };
}

interface Grids {
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  readonly zeroPoints: Uint8Array | null;
  readonly shifts: Int8Array | null;
}

/** A source's own grids are kept, for a fifth of the speed; others are fitted with whole zero points, which cost nothing. */
async function gridsOf(matrix: Matrix): Promise<Grids> {
  if (matrix.readBlocks) return shifted(await matrix.readBlocks());
  const weights = await matrix.read();
  if (liesOnGrid(weights, BLOCK)) return shifted(fitBlocks(weights, BLOCK));
  return { ...(await fitInThreads(weights, BLOCK)), shifts: null };
}

function shifted({ q, scales, minimums }: Blocks): Grids {
  const shifts = shiftGrids(q, scales, minimums);
  return { q, scales, zeroPoints: null, shifts: shifts.every((shift) => shift === 0) ? null : shifts };
}

/** Each row's nibbles in whole bytes. */
function packRows(nibbles: Uint8Array, rows: number, perRow: number): Uint8Array {
  const width = Math.ceil(perRow / 2);
  const packed = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < perRow; i++) {
      (packed[row * width + (i >> 1)] as number) |= (nibbles[row * perRow + i] as number) << (4 * (i % 2));
    }
  }
  return packed;
}

/**
 * scale * q + minimum as scale * (q - 8 + shift/16): a shift of 1/16 of a step is far below the rounding of the weights.
 * A block that does not straddle zero can lie out of reach; it is put on a symmetric grid of its own (changes `q` and `scales`).
 */
function shiftGrids(q: Uint8Array, scales: Float32Array, minimums: Float32Array): Int8Array {
  const shifts = new Int8Array(scales.length);
  for (const [block, minimum] of minimums.entries()) {
    const scale = scales[block] as number;
    const shift = Math.round((minimum / scale + MIDDLE) * SHIFT_STEPS);
    if (shift >= -128 && shift <= 128) {
      shifts[block] = Math.min(shift, 127);
      continue;
    }
    const own = q.subarray(block * BLOCK, (block + 1) * BLOCK);
    const weights = Float32Array.from(own, (level) => scale * level + minimum);
    const largest = weights.reduce((max, weight) => (Math.abs(weight) > Math.abs(max) ? weight : max), 0);
    scales[block] = largest / -MIDDLE;
    for (const [i, weight] of weights.entries()) {
      own[i] = largest === 0 ? MIDDLE : Math.min(15, Math.round((weight / largest) * -MIDDLE) + MIDDLE);
    }
  }
  return shifts;
}

function packNibbles(q: Uint8Array): Uint8Array {
  const packed = new Uint8Array(q.length / 2);
  for (let i = 0; i < packed.length; i++) packed[i] = (q[2 * i] as number) | ((q[2 * i + 1] as number) << 4);
  return packed;
}

function applyBlocks({ packed, scales, zeroPoints, shifts }: StoredBlocks, { rows, columns }: Matrix): ApplyLinear {
  return (graph, input, name) => {
    const wide = widened(graph, scales);
    const sizes = { rows, columns, bits: 4, block: BLOCK };
    const product = matMulNBits(graph, input, packed, wide, sizes, name, zeroPoints);
    if (!shifts) return product;
    // What a block adds for each unit of its inputs' sum: [out, in/32], computed once when the graph is loaded.
    // (A DequantizeLinear would not be folded, but run at every step.)
    const steps = graph.node('Cast', [graph.weight(shifts)], `${shifts.name}.float`, { to: DATA_TYPES.float32 });
    const shift = graph.node('Mul', [steps, graph.float(1 / SHIFT_STEPS)], `${shifts.name}.steps`);
    const offsets = graph.node('Mul', [shift, wide], `${shifts.name}.offsets`);
    const blocks = graph.node('Reshape', [input, graph.int64([-1, columns / BLOCK, BLOCK])], `${name}.blocks`);
    const sums = graph.node('ReduceSum', [blocks, graph.int64([2])], `${name}.sums`, { keepdims: 0 });
    return graph.node('Gemm', [sums, offsets, product], `${name}.shifted`, { transB: 1 });
  };
}

async function storeEmbedding(name: string, matrix: Matrix, file: WeightsFile) {
  const { rows, columns } = matrix;
  const perRow = columns / EMBEDDING_BLOCK;
  const { q, scales } = eightBitBlocks(await matrix.read(), EMBEDDING_BLOCK);
  const table = await file.add(`${name}.uint8`, 'uint8', [rows, columns], q);
  const scale = await file.add(`${name}.scale`, 'float16', [rows, perRow], toHalf(scales));
  // The same bytes under the shapes that the head's kernel wants.
  const headTable = { ...table, name: `${name}.head`, shape: [rows, perRow, EMBEDDING_BLOCK] };
  const headScale = { ...scale, name: `${name}.head_scale`, shape: [rows * perRow] };
  return {
    lookup: (graph: GraphBuilder, ids: string, result: string): string => {
      const inputs = [graph.weight(table), ids, widened(graph, scale)];
      return graph.node(
        'GatherBlockQuantized',
        inputs,
        result,
        { bits: 8, block_size: EMBEDDING_BLOCK, gather_axis: 0, quantize_axis: 1 },
        MS,
      );
    },
    head: (graph: GraphBuilder, input: string, result: string): string =>
      matMulNBits(
        graph,
        input,
        headTable,
        widened(graph, headScale),
        { rows, columns, bits: 8, block: EMBEDDING_BLOCK },
        result,
      ),
  };
}

/** Symmetric around 128, the largest weight of a block at the end of the range. */
function eightBitBlocks(weights: Float32Array, block: number): { q: Uint8Array; scales: Float32Array } {
  const q = new Uint8Array(weights.length);
  const scales = new Float32Array(weights.length / block);
  for (let index = 0; index < scales.length; index++) {
    const own = weights.subarray(index * block, (index + 1) * block);
    let largest = 0;
    for (const weight of own) largest = Math.max(largest, Math.abs(weight));
    const scale = largest / 127;
    scales[index] = scale;
    for (let i = 0; i < block; i++)
      q[index * block + i] = 128 + (scale === 0 ? 0 : Math.round((own[i] as number) / scale));
  }
  return { q, scales };
}

function widened(graph: GraphBuilder, tensor: ExternalTensor): string {
  return graph.node('Cast', [graph.weight(tensor)], `${tensor.name}.float`, { to: DATA_TYPES.float32 });
}

function matMulNBits(
  graph: GraphBuilder,
  input: string,
  table: ExternalTensor,
  scales: string,
  { rows, columns, bits, block }: { rows: number; columns: number; bits: number; block: number },
  name: string,
  zeroPoints: ExternalTensor | null = null,
): string {
  const attributes = { K: columns, N: rows, bits, block_size: block, accuracy_level: INT8_ACTIVATIONS };
  const inputs = [input, graph.weight(table), scales, ...(zeroPoints ? [graph.weight(zeroPoints)] : [])];
  return graph.node('MatMulNBits', inputs, name, attributes, MS);
}
