/**
 * What an architecture says of a recurrent model: an embedding, LSTM cells one above the other, a head. As data; knows no ONNX and no
 * precision.
 */
import type { Linear, Matrix } from './decoder-spec.ts';

export interface CellSpec {
  /** [4 * hiddenSize, size of what comes in]. Rows: input gate, output gate, forget gate, candidate, `hiddenSize` rows each. */
  readonly input: Matrix;
  /** [4 * hiddenSize, hiddenSize], rows in the same order. */
  readonly recurrent: Matrix;
  /** [8 * hiddenSize]: what is added to the rows of `input`, then what is added to those of `recurrent`. */
  readonly bias: (() => Promise<Float32Array>) | null;
}

export interface RecurrentSpec {
  readonly family: string;
  readonly embeddingSize: number;
  readonly hiddenSize: number;
  readonly vocabSize: number;
  readonly embedding: Matrix;
  /** The first reads the embedding, each other one the cell below it. */
  readonly cells: readonly CellSpec[];
  /** Its weight is `embedding` itself when tied. */
  readonly head: Linear;
}

/** Stored weights, the tied head counted once. */
export function recurrentParameterCount(spec: RecurrentSpec): number {
  const size = ({ rows, columns }: Matrix) => rows * columns;
  const cells = spec.cells.map(
    (cell) => size(cell.input) + size(cell.recurrent) + (cell.bias ? 8 * spec.hiddenSize : 0),
  );
  const head =
    (spec.head.weight === spec.embedding ? 0 : size(spec.head.weight)) + (spec.head.bias ? spec.vocabSize : 0);
  return size(spec.embedding) + cells.reduce((sum, cell) => sum + cell, 0) + head;
}
