/**
 * An orthogonal rotation of a hidden size: random signs, Hadamard blocks, and a reflection between the blocks.
 * It spreads a few large channels over all of them, so that 8 bits suffice. Knows vectors; knows no model.
 * Source: QuaRot, https://arxiv.org/abs/2404.00456 (rotations folded into the weights); Hadamard by the fast Walsh-Hadamard transform.
 */

/** The largest power of two that divides `size`. */
export function hadamardBlock(size: number): number {
  return size & -size;
}

/** xorshift32: a fixed stream of numbers in 0..1, so that the same model always converts to the same bytes. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** In place, along the middle axis of [outer, blocks * block, inner]; orthonormal, its own inverse. Two levels in one pass over the data. */
export function hadamard(data: Float32Array, outer: number, size: number, inner: number, block: number): void {
  for (let base = 0; base < outer * size * inner; base += block * inner) {
    const end = base + block * inner;
    let norm = 1 / Math.sqrt(block);
    let stride = inner;
    if (Math.log2(block) % 2 === 1) {
      butterflies(data, base, end, stride, norm);
      stride *= 2;
      norm = 1;
    }
    for (; stride < block * inner; stride *= 4) {
      doubleButterflies(data, base, end, stride, norm);
      norm = 1;
    }
  }
}

function butterflies(data: Float32Array, base: number, end: number, stride: number, norm: number): void {
  for (let group = base; group < end; group += 2 * stride) {
    for (let i = group; i < group + stride; i++) {
      const a = (data[i] as number) * norm;
      const b = (data[i + stride] as number) * norm;
      data[i] = a + b;
      data[i + stride] = a - b;
    }
  }
}

function doubleButterflies(data: Float32Array, base: number, end: number, stride: number, norm: number): void {
  for (let group = base; group < end; group += 4 * stride) {
    for (let i = group; i < group + stride; i++) {
      const a = (data[i] as number) * norm;
      const b = (data[i + stride] as number) * norm;
      const c = (data[i + 2 * stride] as number) * norm;
      const d = (data[i + 3 * stride] as number) * norm;
      data[i] = a + b + (c + d);
      data[i + stride] = a - b + (c - d);
      data[i + 2 * stride] = a + b - (c + d);
      data[i + 3 * stride] = a - b - (c - d);
    }
  }
}

export class Rotation {
  readonly size: number;
  readonly #signs: Float32Array;
  readonly #block: number;

  constructor(size: number, seed = 1) {
    const random = seeded(seed * 2654435761);
    this.size = size;
    this.#block = hadamardBlock(size);
    this.#signs = Float32Array.from({ length: size }, () => (random() < 0.5 ? -1 : 1));
  }

  /** X <- X R for X [rows, size]: turns a layer's input side. */
  applyToRows(data: Float32Array): void {
    this.#apply(data, data.length / this.size, 1);
  }

  /** X <- Rᵀ X for X [size, columns]: turns a layer's output side, or a bias with `columns` 1. */
  applyToColumns(data: Float32Array): void {
    this.#apply(data, 1, data.length / this.size);
  }

  #apply(data: Float32Array, outer: number, inner: number): void {
    const { size } = this;
    for (let o = 0; o < outer; o++) {
      for (let row = 0; row < size; row++) {
        if ((this.#signs[row] as number) > 0) continue;
        const start = (o * size + row) * inner;
        for (let i = start; i < start + inner; i++) data[i] = -(data[i] as number);
      }
    }
    hadamard(data, outer, size, inner, this.#block);
    this.#mixBlocks(data, outer, inner);
  }

  /** Across blocks, position by position within them: a Householder reflection along (1, 1, ..., 1). */
  #mixBlocks(data: Float32Array, outer: number, inner: number): void {
    const blocks = this.size / this.#block;
    if (blocks === 1) return;
    const width = this.#block * inner;
    const sums = new Float32Array(width);
    for (let o = 0; o < outer; o++) {
      const base = o * blocks * width;
      sums.fill(0);
      for (let block = 0; block < blocks; block++) {
        const start = base + block * width;
        for (let i = 0; i < width; i++) (sums[i] as number) += data[start + i] as number;
      }
      for (let i = 0; i < width; i++) (sums[i] as number) *= 2 / blocks;
      for (let block = 0; block < blocks; block++) {
        const start = base + block * width;
        for (let i = 0; i < width; i++) (data[start + i] as number) -= sums[i] as number;
      }
    }
  }
}
