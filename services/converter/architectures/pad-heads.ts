/**
 * Attention kernels take heads whose size is a multiple of 16 and turn all of a head. Smaller heads are padded with zeros, and where only
 * a part is turned, its pairs are spread over the whole head with pairs between them that stand still: the same function, rows moved.
 * Knows the order of a qkv's rows; knows no kernel and no precision.
 */
import type { Blocks, DecoderSpec, HeadNorm, LayerSpec, Linear, Matrix, Rope } from './decoder-spec.ts';

const MULTIPLE = 16;

/** The same spec when its heads fit already. */
export function padHeads(spec: DecoderSpec): DecoderSpec {
  const { headDim, rotaryDim } = spec;
  const padded = Math.ceil(headDim / MULTIPLE) * MULTIPLE;
  if (padded === headDim && rotaryDim === headDim) return spec;
  const turned =
    spec.ropes.length > 0
      ? turnedPlaces(headDim, rotaryDim, padded)
      : Array.from({ length: headDim }, (_, index) => index);
  // Values, and heads without rotation, keep their order.
  const rowMap: number[] = [];
  for (let head = 0; head < spec.heads + 2 * spec.kvHeads; head++) {
    const isTurned = head < spec.heads + spec.kvHeads;
    for (const [index, place] of turned.entries()) rowMap.push(head * padded + (isTurned ? place : index));
  }
  const columnMap = Array.from(
    { length: spec.heads * headDim },
    (_, column) => Math.floor(column / headDim) * padded + (column % headDim),
  );
  const headNorm = ({ gain, epsilon }: HeadNorm): HeadNorm => ({
    // The mean is taken over more numbers: the same sum of squares divided by more.
    gain: async () =>
      spread(
        (await gain()).map((value) => value * Math.sqrt(headDim / padded)),
        turned,
        padded,
        1,
      ),
    epsilon: (epsilon * headDim) / padded,
  });
  const layer = (source: LayerSpec): LayerSpec => ({
    ...source,
    qkv: padRows(source.qkv, rowMap, (spec.heads + 2 * spec.kvHeads) * padded),
    headNorms: source.headNorms && { query: headNorm(source.headNorms.query), key: headNorm(source.headNorms.key) },
    output:
      padded === headDim
        ? source.output
        : { ...source.output, weight: padColumns(source.output.weight, columnMap, spec.heads * padded) },
  });
  const rope = (source: Rope): Rope => ({
    ...source,
    tables: async (positions) => padTables(await source.tables(positions), rotaryDim / 2, padded / 2),
  });
  return { ...spec, headDim: padded, rotaryDim: padded, layers: spec.layers.map(layer), ropes: spec.ropes.map(rope) };
}

/** Where each number of a turned head goes: pairs (i, i + rotaryDim/2) become (i, i + padded/2), the rest fills what is left. */
function turnedPlaces(headDim: number, rotaryDim: number, padded: number): number[] {
  const [half, room] = [rotaryDim / 2, padded / 2];
  const stillPerHalf = room - half;
  return Array.from({ length: headDim }, (_, index) => {
    if (index < half) return index;
    if (index < rotaryDim) return room + index - half;
    const still = index - rotaryDim;
    return still < stillPerHalf ? half + still : room + half + still - stillPerHalf;
  });
}

function padRows({ weight, bias }: Linear, map: readonly number[], rows: number): Linear {
  const { columns, readBlocks } = weight;
  const padded: Matrix = { rows, columns, read: async () => spread(await weight.read(), map, rows, columns) };
  const blocks = async (read: () => Promise<Blocks>): Promise<Blocks> => {
    const { q, scales, minimums } = await read();
    const perRow = scales.length / weight.rows;
    return {
      q: spread(q, map, rows, columns),
      scales: spread(scales, map, rows, perRow),
      minimums: spread(minimums, map, rows, perRow),
    };
  };
  // Rows that only change places keep their blocks; rows of zeros have none.
  const keepsBlocks = readBlocks && rows === weight.rows;
  return {
    weight: keepsBlocks ? { ...padded, readBlocks: () => blocks(readBlocks.bind(weight)) } : padded,
    bias: bias && (async () => spread(await bias(), map, rows, 1)),
  };
}

/** Rows of `width` at the places that `map` gives them, zeros between. */
function spread<T extends Float32Array | Uint8Array>(
  values: T,
  map: readonly number[],
  rows: number,
  width: number,
): T {
  const wide = (values instanceof Uint8Array ? new Uint8Array(rows * width) : new Float32Array(rows * width)) as T; // The same kind.
  for (const [from, to] of map.entries()) wide.set(values.subarray(from * width, (from + 1) * width), to * width);
  return wide;
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
