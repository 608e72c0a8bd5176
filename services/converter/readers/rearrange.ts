/**
 * The same weights in another order: rotary rows and swapped axes. Meta's and ggml's llama rotate neighbours (0,1) (2,3) ..., Hugging
 * Face's rotate halves (0,d/2) (1,d/2+1) ...; the same model, its q and k rows in another order. Knows no file format.
 */

/**
 * Rows in Hugging Face's order from rows in the interleaved order: per head of d rows, row j*d/2+i comes from 2i+j.
 * `rows`: heads * headDim rows of `width` items each (1 for a bias).
 */
export function halfSplitRows<T extends Float32Array | Uint8Array>(rows: T, heads: number, width: number): T {
  return reordered(rows, heads, width, (half, row) => (row < half ? 2 * row : 2 * (row - half) + 1));
}

/** The way back: row 2i+j of a head comes from j*d/2+i. */
export function interleavedRows<T extends Float32Array | Uint8Array>(rows: T, heads: number, width: number): T {
  return reordered(rows, heads, width, (half, row) => (row % 2) * half + (row >> 1));
}

function reordered<T extends Float32Array | Uint8Array>(
  rows: T,
  heads: number,
  width: number,
  from: (half: number, row: number) => number,
): T {
  const result = rows.slice() as T; // slice() is typed as the union; it keeps the kind of array.
  const headDim = rows.length / width / heads;
  for (let head = 0; head < heads; head++) {
    for (let row = 0; row < headDim; row++) {
      const source = (head * headDim + from(headDim / 2, row)) * width;
      result.set(rows.subarray(source, source + width), (head * headDim + row) * width);
    }
  }
  return result;
}

/** [rows, columns] -> [columns, rows], in squares that fit the cache: a strided walk over a large matrix misses it at every step. */
export function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const square = 32;
  const result = new Float32Array(matrix.length);
  for (let top = 0; top < rows; top += square) {
    for (let left = 0; left < columns; left += square) {
      const [bottom, right] = [Math.min(top + square, rows), Math.min(left + square, columns)];
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++)
          result[column * rows + row] = matrix[row * columns + column] as number;
      }
    }
  }
  return result;
}
