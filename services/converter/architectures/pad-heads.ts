/**
 * Attention kernels take heads whose size is a multiple of 16. Smaller ones are padded with zeros: the same function, wider rows.
 * Knows the order of a qkv's rows; knows no kernel and no precision.
 */
import type { DecoderSpec, LayerSpec, Linear, Matrix } from './decoder-spec.ts';

const MULTIPLE = 16;

/** The same spec when its heads fit already. */
export function padHeads(spec: DecoderSpec): DecoderSpec {
  const { headDim, rope } = spec;
  const padded = Math.ceil(headDim / MULTIPLE) * MULTIPLE;
  if (padded === headDim) return spec;
  const rotary = rope !== null;
  // A rotary pair is (i, i + half): its second part moves to the new half. Values, and heads without rotation, keep their order.
  const target = (index: number, turned: boolean) =>
    turned && index >= headDim / 2 ? index - headDim / 2 + padded / 2 : index;
  const rowMap: number[] = [];
  for (let head = 0; head < spec.heads + 2 * spec.kvHeads; head++) {
    const turned = rotary && head < spec.heads + spec.kvHeads;
    for (let index = 0; index < headDim; index++) rowMap.push(head * padded + target(index, turned));
  }
  const columnMap = Array.from(
    { length: spec.heads * headDim },
    (_, column) => Math.floor(column / headDim) * padded + (column % headDim),
  );
  const layer = (source: LayerSpec): LayerSpec => ({
    ...source,
    qkv: padRows(source.qkv, rowMap, (spec.heads + 2 * spec.kvHeads) * padded),
    output: { ...source.output, weight: padColumns(source.output.weight, columnMap, spec.heads * padded) },
  });
  return {
    ...spec,
    headDim: padded,
    layers: spec.layers.map(layer),
    rope: rope && (async (positions) => padTables(await rope(positions), headDim / 2, padded / 2)),
  };
}

function padRows({ weight, bias }: Linear, map: readonly number[], rows: number): Linear {
  const spread = (values: Float32Array, columns: number) => {
    const wide = new Float32Array(rows * columns);
    for (const [from, to] of map.entries())
      wide.set(values.subarray(from * columns, (from + 1) * columns), to * columns);
    return wide;
  };
  return {
    weight: { rows, columns: weight.columns, read: async () => spread(await weight.read(), weight.columns) },
    bias: bias && (async () => spread(await bias(), 1)),
  };
}

function padColumns(matrix: Matrix, map: readonly number[], columns: number): Matrix {
  const read = async () => {
    const values = await matrix.read();
    const wide = new Float32Array(matrix.rows * columns);
    for (let row = 0; row < matrix.rows; row++) {
      for (const [from, to] of map.entries()) wide[row * columns + to] = values[row * matrix.columns + from] as number;
    }
    return wide;
  };
  return { rows: matrix.rows, columns, read };
}

/** The added pairs are not turned: cos 1, sin 0. */
function padTables({ cos, sin }: { cos: Float32Array; sin: Float32Array }, pairs: number, padded: number) {
  const positions = cos.length / pairs;
  const wide = { cos: new Float32Array(positions * padded).fill(1), sin: new Float32Array(positions * padded) };
  for (let position = 0; position < positions; position++) {
    wide.cos.set(cos.subarray(position * pairs, (position + 1) * pairs), position * padded);
    wide.sin.set(sin.subarray(position * pairs, (position + 1) * pairs), position * padded);
  }
  return wide;
}
