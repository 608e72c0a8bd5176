/**
 * The arithmetic of LoRA and DoRA: a base weight with its low-rank change added, computed when it is read and never before, so that
 * memory holds one weight and its two factors. Source: huggingface/peft, tuners/lora/{layer,dora}.py; Hu et al., arXiv 2106.09685;
 * Liu et al. (DoRA), arXiv 2402.09353. Knows no files and no names.
 */
import type { SourceTensor } from '../../checkpoint.ts';

export interface LoraChange {
  /** [rank, in] */
  readonly a: SourceTensor;
  /** [out, rank] */
  readonly b: SourceTensor;
  readonly scale: number;
  /** DoRA: the length [out] each output's weights are given. */
  readonly magnitude: SourceTensor | null;
  /** Whether the base holds its weight as [in, out]: GPT-2's Conv1D, and every embedding. */
  readonly transposed: boolean;
}

/** base + scale * b·a; with a magnitude, each output's weights are then scaled to that length. Same name and shape as the base's. */
export function withLora(base: SourceTensor, change: LoraChange): SourceTensor {
  const { a, b, scale, magnitude, transposed } = change;
  const [rows = 0, columns = 0] = base.shape;
  const [rank = 0] = a.shape;
  return {
    name: base.name,
    shape: base.shape,
    dtype: base.dtype,
    read: async () => {
      const [factorA, factorB] = [await a.read(), await b.read()];
      const left = transposed ? turned(factorA, rank) : factorB;
      const right = transposed ? turned(factorB, columns) : factorA;
      const weight = await base.read();
      addProduct(weight, columns, left, right, scale);
      if (magnitude) setLengths(weight, rows, columns, await magnitude.read(), transposed);
      return weight;
    },
  };
}

/** base + scale * change, element by element. */
export function withChange(base: SourceTensor, change: SourceTensor, scale: number): SourceTensor {
  return {
    name: base.name,
    shape: base.shape,
    dtype: base.dtype,
    read: async () => {
      const values = await base.read();
      const added = await change.read();
      return values.map((value, index) => value + scale * (added[index] as number));
    },
  };
}

/** weight [rows, columns] += scale * left [rows, rank] · right [rank, columns]; each element's sum is rounded once. */
function addProduct(
  weight: Float32Array,
  columns: number,
  left: Float32Array,
  right: Float32Array,
  scale: number,
): void {
  const rows = weight.length / columns;
  const rank = left.length / rows;
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    let k = 0;
    // Four factors at a time: a sum is loaded and stored a quarter as often.
    for (; k + 4 <= rank; k += 4) {
      const at = row * rank + k;
      const [f0, f1, f2, f3] = [left[at] ?? 0, left[at + 1] ?? 0, left[at + 2] ?? 0, left[at + 3] ?? 0];
      const r0 = right.subarray(k * columns, (k + 1) * columns);
      const r1 = right.subarray((k + 1) * columns, (k + 2) * columns);
      const r2 = right.subarray((k + 2) * columns, (k + 3) * columns);
      const r3 = right.subarray((k + 3) * columns, (k + 4) * columns);
      for (let i = 0; i < columns; i++) {
        sums[i] =
          (sums[i] as number) +
          f0 * (r0[i] as number) +
          f1 * (r1[i] as number) +
          f2 * (r2[i] as number) +
          f3 * (r3[i] as number);
      }
    }
    for (; k < rank; k++) {
      const factor = left[row * rank + k] ?? 0;
      const from = right.subarray(k * columns, (k + 1) * columns);
      for (let i = 0; i < columns; i++) sums[i] = (sums[i] as number) + factor * (from[i] as number);
    }
    const into = weight.subarray(row * columns, (row + 1) * columns);
    for (let i = 0; i < columns; i++) into[i] = (into[i] as number) + scale * (sums[i] as number);
  }
}

/** Each output's weights (a row; a column when transposed) get the length `magnitudes` says. */
function setLengths(
  weight: Float32Array,
  rows: number,
  columns: number,
  magnitudes: Float32Array,
  transposed: boolean,
): void {
  const squares = new Float64Array(magnitudes.length);
  for (let row = 0; row < rows; row++) {
    const from = weight.subarray(row * columns, (row + 1) * columns);
    if (transposed) {
      for (let i = 0; i < columns; i++) squares[i] = (squares[i] as number) + (from[i] as number) ** 2;
    } else {
      let sum = 0;
      for (let i = 0; i < columns; i++) sum += (from[i] as number) ** 2;
      squares[row] = sum;
    }
  }
  const factors = squares.map((square, output) => (magnitudes[output] as number) / Math.sqrt(square));
  for (let row = 0; row < rows; row++) {
    const into = weight.subarray(row * columns, (row + 1) * columns);
    for (let i = 0; i < columns; i++) into[i] = (into[i] as number) * (factors[transposed ? i : row] as number);
  }
}

/** [rows, n / rows] -> [n / rows, rows] */
function turned(matrix: Float32Array, rows: number): Float32Array {
  const columns = matrix.length / rows;
  const result = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column] as number;
  }
  return result;
}
