/**
 * int8: weights per output channel, activations per row in the graph (a row never depends on its batch neighbours).
 * Rows out of an RMS norm have a mean square of 1, and after rotation the shape of a bell: one fixed scale serves all of them.
 * Everything else is scaled by its largest value, row by row.
 */
import type { Matrix } from '../architectures/decoder-spec.ts';
import { type GraphBuilder, MS } from '../graph/graph-builder.ts';
import { DATA_TYPES, type ExternalTensor } from '../graph/onnx-model.ts';
import type { WeightsFile } from '../writers/weights-file.ts';
import { rotateDecoder, turnsStream } from './rotate-decoder.ts';
import { ROUNDER } from './rounder.ts';
import { type ApplyLinear, type InputKind, type Scheme, storeBias } from './scheme.ts';

/** Standard deviations that 127 stands for in a row of unit mean square: the measured best, see docs/decisions. */
const UNIT_CLIP = 4;
const ZERO_POINT = 128;

export function int8Scheme(): Scheme {
  return {
    quantizesCache: true,
    multipliesIntegers: true,
    tables: 'float16',
    description: 'weights int8 per output channel; activations int8 per row; cache int8 per channel',
    describePreparation: (spec) =>
      `${turnsStream(spec) ? 'residual stream' : 'what leaves the residual stream'}, value heads and MLP input rotated`,
    prepare: rotateDecoder,
    linear: async (name, linear, input, file) => {
      const weight = await storeChannels(name, linear.weight, file);
      const bias = await storeBias(name, linear.bias, file);
      const product = applyChannels(weight, input);
      return (graph, value, result) => bias(graph, product(graph, value, result), result);
    },
    embedding: async (name, matrix, file) => {
      const weight = await storeChannels(name, matrix, file);
      return { lookup: applyLookup(weight), head: applyChannels(weight, 'free') };
    },
  };
}

interface Channels {
  /** int8 [in, out]: the layout integer products take. */
  readonly weight: ExternalTensor;
  /** float32 [out] */
  readonly scale: ExternalTensor;
}

async function storeChannels(name: string, matrix: Matrix, file: WeightsFile): Promise<Channels> {
  const { quantized, scales } = quantizeChannels(await matrix.read(), matrix.rows, matrix.columns);
  return {
    weight: await file.add(`${name}.int8`, 'int8', [matrix.columns, matrix.rows], quantized),
    scale: await file.add(`${name}.scale`, 'float32', [matrix.rows], scales),
  };
}

/** Symmetric, rounded to nearest; the largest weight of each row is 127. Transposed to [columns, rows]. */
export function quantizeChannels(
  weights: Float32Array,
  rows: number,
  columns: number,
): { quantized: Int8Array; scales: Float32Array } {
  const quantized = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  const inverses = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    let largest = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      const size = Math.abs(weights[i] as number);
      if (size > largest) largest = size;
    }
    scales[row] = largest / 127;
    inverses[row] = largest === 0 ? 0 : 127 / largest;
  }
  // In tiles, so that neither side of the transposition leaves the cache.
  const tile = 64;
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(top + tile, rows);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(left + tile, columns);
      for (let row = top; row < bottom; row++) {
        const inverse = inverses[row] as number;
        for (let column = left; column < right; column++) {
          const scaled = (weights[row * columns + column] as number) * inverse;
          quantized[column * rows + row] = scaled + ROUNDER - ROUNDER;
        }
      }
    }
  }
  return { quantized, scales };
}

function applyChannels({ weight, scale }: Channels, kind: InputKind): ApplyLinear {
  return (graph, input, name) => {
    const table = integerTable(graph, weight);
    const product = (quantized: string, inputScale: string, result: string) =>
      graph.node(
        'MatMulIntegerToFloat',
        [quantized, table.name, inputScale, graph.weight(scale), graph.uint8(ZERO_POINT), ...table.zeroPoint],
        result,
        {},
        MS,
      );
    if (kind === 'unit') {
      const fixed = graph.float(UNIT_CLIP / 127);
      return product(
        graph.node('QuantizeLinear', [input, fixed, graph.uint8(ZERO_POINT)], `${name}.quantized`),
        fixed,
        name,
      );
    }
    const { quantized, scale: rowScale } = quantizeRows(graph, input, name);
    return graph.node('Mul', [product(quantized, graph.float(1), `${name}.unscaled`), rowScale], name);
  };
}

/** The weights as this graph's products take them. */
function integerTable(graph: GraphBuilder, weight: ExternalTensor): { name: string; zeroPoint: readonly string[] } {
  if (!graph.unsignedWeights) return { name: graph.weight(weight), zeroPoint: [] };
  // Turning a byte's top bit over adds 128 to what it means. Done once, when the graph is loaded.
  const bytes = graph.weight({ ...weight, name: `${weight.name}.bytes`, type: 'uint8' });
  const unsigned = graph.node('BitwiseXor', [bytes, graph.uint8(ZERO_POINT)], `${weight.name}.unsigned`);
  return { name: unsigned, zeroPoint: [graph.uint8(ZERO_POINT)] };
}

/** uint8 around 128 [rows, n], and each row's scale [rows, 1]. A row of zeros has scale 0 and stays zero. */
function quantizeRows(graph: GraphBuilder, input: string, name: string): { quantized: string; scale: string } {
  const lastAxis = graph.int64([-1]);
  const magnitude = graph.node('Abs', [input], `${name}.magnitude`);
  const largest = graph.node('ReduceMax', [magnitude, lastAxis], `${name}.largest`, { keepdims: 1 });
  const scale = graph.node('Mul', [largest, graph.float(1 / 127)], `${name}.row_scale`);
  const scaled = graph.node('Div', [input, scale], `${name}.scaled`);
  const quantized = graph.node(
    'QuantizeLinear',
    [scaled, graph.float(1), graph.uint8(ZERO_POINT)],
    `${name}.quantized`,
  );
  return { quantized, scale };
}

/** A column of the transposed table per id, turned back into rows. */
function applyLookup({ weight, scale }: Channels) {
  return (graph: GraphBuilder, ids: string, name: string): string => {
    const columns = graph.node('Gather', [graph.weight(weight), ids], `${name}.columns`, { axis: 1 });
    const rows = graph.node('Transpose', [columns], `${name}.int8`, { perm: [1, 0] });
    const values = graph.node('Cast', [rows], `${name}.unscaled`, { to: DATA_TYPES.float32 });
    const scales = graph.node('Gather', [graph.weight(scale), ids], `${name}.scales`);
    return graph.node(
      'Mul',
      [values, graph.node('Unsqueeze', [scales, graph.int64([-1])], `${name}.row_scales`)],
      name,
    );
  };
}
