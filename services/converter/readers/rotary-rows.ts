/**
 * The two orders of a rotary projection's rows. Meta's and ggml's llama rotate neighbours (0,1) (2,3) ..., Hugging Face's rotate
 * halves (0,d/2) (1,d/2+1) ...; the same model, its q and k rows in another order. Knows no file format.
 */

/**
 * Rows in Hugging Face's order from rows in the interleaved order: per head of d rows, row j*d/2+i comes from 2i+j.
 * `rows`: heads * headDim rows of `width` items each (1 for a bias).
 */
export function halfSplitRows<T extends Float32Array | Uint8Array>(rows: T, heads: number, width: number): T {
  const result = rows.slice() as T; // slice() is typed as the union; it keeps the kind of array.
  const headDim = rows.length / width / heads;
  for (let row = 0; row < heads * headDim; row++) {
    const head = Math.floor(row / headDim);
    const inHead = row % headDim;
    const half = headDim / 2;
    const from = head * headDim + (inHead < half ? 2 * inHead : 2 * (inHead - half) + 1);
    result.set(rows.subarray(from * width, (from + 1) * width), row * width);
  }
  return result;
}
