/**
 * ggml's storage types: their block sizes and how a run of blocks becomes float32. Values are those of ggml's own
 * dequantize_row_* (llama.cpp, ggml-quants.c), bit for bit: every product here is exact in a double, so it is rounded
 * once, when it is stored. Knows nothing of files or tensors.
 */

/** Writes `blocks` blocks from `raw` to `out` at `at`. */
type Dequantize = (raw: Uint8Array, blocks: number, out: Float32Array, at: number) => void;
/** The same for 4-bit types: one integer per weight, and per 32 weights a scale and a minimum: w = scale * q + minimum. */
type Unpack = (raw: Uint8Array, blocks: number, into: FourBitBlocks, at: number) => void;

export interface FourBitBlocks {
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  readonly minimums: Float32Array;
}

export interface GgmlType {
  readonly name: string;
  /** Weights in one block. */
  readonly blockSize: number;
  readonly blockBytes: number;
  readonly dequantize: Dequantize;
  readonly unpack?: Unpack;
}

let halves: Float32Array | undefined;

/** All 65,536 values of an IEEE half, by its bits: a table is several times faster than arithmetic per value. */
function halfTable(): Float32Array {
  if (halves) return halves;
  halves = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    if (exponent === 0) halves[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) halves[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else halves[bits] = sign * (1024 + fraction) * 2 ** (exponent - 25);
  }
  return halves;
}

/** A typed array's element inside bounds that the caller guarantees; `?? 0` would cost a branch per weight. */
function byte(raw: Uint8Array, i: number): number {
  return raw[i] as number;
}

function half(table: Float32Array, raw: Uint8Array, i: number): number {
  return table[byte(raw, i) | (byte(raw, i + 1) << 8)] as number;
}

const f32: Dequantize = (raw, blocks, out, at) => {
  new Uint8Array(out.buffer, out.byteOffset + at * 4, blocks * 4).set(raw.subarray(0, blocks * 4));
};

const f16: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let i = 0; i < blocks; i++) out[at + i] = half(table, raw, i * 2);
};

const bf16: Dequantize = (raw, blocks, out, at) => {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < blocks; i++) bits[at + i] = (byte(raw, i * 2) << 16) | (byte(raw, i * 2 + 1) << 24);
};

const q8_0: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 34, o += 32) {
    const d = half(table, raw, p);
    for (let i = 0; i < 32; i++) out[o + i] = d * ((byte(raw, p + 2 + i) << 24) >> 24);
  }
};

const q4_0: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 18, o += 32) {
    const d = half(table, raw, p);
    for (let i = 0; i < 16; i++) {
      const pair = byte(raw, p + 2 + i);
      out[o + i] = d * ((pair & 15) - 8);
      out[o + 16 + i] = d * ((pair >> 4) - 8);
    }
  }
};

const q4_1: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 20, o += 32) {
    const d = half(table, raw, p);
    const m = half(table, raw, p + 2);
    for (let i = 0; i < 16; i++) {
      const pair = byte(raw, p + 4 + i);
      out[o + i] = d * (pair & 15) + m;
      out[o + 16 + i] = d * (pair >> 4) + m;
    }
  }
};

const q5_0: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 22, o += 32) {
    const d = half(table, raw, p);
    for (let i = 0; i < 16; i++) {
      const pair = byte(raw, p + 6 + i);
      const low = (byte(raw, p + 2 + (i >> 3)) >> (i & 7)) & 1;
      const high = (byte(raw, p + 4 + (i >> 3)) >> (i & 7)) & 1;
      out[o + i] = d * (((pair & 15) | (low << 4)) - 16);
      out[o + 16 + i] = d * (((pair >> 4) | (high << 4)) - 16);
    }
  }
};

const q5_1: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 24, o += 32) {
    const d = half(table, raw, p);
    const m = half(table, raw, p + 2);
    for (let i = 0; i < 16; i++) {
      const pair = byte(raw, p + 8 + i);
      const low = (byte(raw, p + 4 + (i >> 3)) >> (i & 7)) & 1;
      const high = (byte(raw, p + 6 + (i >> 3)) >> (i & 7)) & 1;
      out[o + i] = d * ((pair & 15) | (low << 4)) + m;
      out[o + 16 + i] = d * ((pair >> 4) | (high << 4)) + m;
    }
  }
};

/** The 6-bit scale (`shift` 0) or minimum (`shift` 4) of sub-block j, from the 12 bytes at p that pack eight of each. */
function sixBits(raw: Uint8Array, p: number, j: number, shift: 0 | 4): number {
  const at = p + j + shift;
  if (j < 4) return byte(raw, at) & 63;
  const nibble = (byte(raw, p + j + 4) >> shift) & 15;
  return nibble | ((byte(raw, at - 4) >> 6) << 4);
}

const q4_k: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 144, o += 256) {
    const d = half(table, raw, p);
    const dmin = half(table, raw, p + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * sixBits(raw, p + 4, j, 0);
      const minimum = dmin * sixBits(raw, p + 4, j, 4);
      const from = p + 16 + (j >> 1) * 32;
      const shift = (j & 1) * 4;
      for (let i = 0; i < 32; i++) out[o + j * 32 + i] = scale * ((byte(raw, from + i) >> shift) & 15) - minimum;
    }
  }
};

const q5_k: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 176, o += 256) {
    const d = half(table, raw, p);
    const dmin = half(table, raw, p + 2);
    for (let j = 0; j < 8; j++) {
      const scale = d * sixBits(raw, p + 4, j, 0);
      const minimum = dmin * sixBits(raw, p + 4, j, 4);
      const from = p + 48 + (j >> 1) * 32;
      const shift = (j & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const fifth = (byte(raw, p + 16 + i) >> j) & 1;
        out[o + j * 32 + i] = scale * (((byte(raw, from + i) >> shift) & 15) | (fifth << 4)) - minimum;
      }
    }
  }
};

const q6_k: Dequantize = (raw, blocks, out, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 210, o += 256) {
    const d = half(table, raw, p + 208);
    for (let j = 0; j < 16; j++) {
      const scale = d * ((byte(raw, p + 192 + j) << 24) >> 24);
      // 16 weights share a scale. Weight k of a half (128): low 4 bits in ql, high 2 bits in qh, both interleaved by 32.
      const half128 = j >> 3;
      const group = (j & 7) >> 1;
      const lane = (j & 1) * 16;
      const low = p + half128 * 64 + (group & 1) * 32 + lane;
      const high = p + 128 + half128 * 32 + lane;
      for (let i = 0; i < 16; i++) {
        const bits = (byte(raw, low + i) >> ((group >> 1) * 4)) & 15;
        const top = (byte(raw, high + i) >> (group * 2)) & 3;
        out[o + j * 16 + i] = scale * ((bits | (top << 4)) - 32);
      }
    }
  }
};

const unpackQ4_0: Unpack = (raw, blocks, { q, scales, minimums }, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 18, o += 32) {
    const d = half(table, raw, p);
    scales[at / 32 + b] = d;
    minimums[at / 32 + b] = -8 * d;
    for (let i = 0; i < 16; i++) {
      q[o + i] = byte(raw, p + 2 + i) & 15;
      q[o + 16 + i] = byte(raw, p + 2 + i) >> 4;
    }
  }
};

const unpackQ4_1: Unpack = (raw, blocks, { q, scales, minimums }, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 20, o += 32) {
    scales[at / 32 + b] = half(table, raw, p);
    minimums[at / 32 + b] = half(table, raw, p + 2);
    for (let i = 0; i < 16; i++) {
      q[o + i] = byte(raw, p + 4 + i) & 15;
      q[o + 16 + i] = byte(raw, p + 4 + i) >> 4;
    }
  }
};

const unpackQ4_K: Unpack = (raw, blocks, { q, scales, minimums }, at) => {
  const table = halfTable();
  for (let b = 0, p = 0, o = at; b < blocks; b++, p += 144, o += 256) {
    const d = half(table, raw, p);
    const dmin = half(table, raw, p + 2);
    for (let j = 0; j < 8; j++) {
      scales[o / 32 + j] = d * sixBits(raw, p + 4, j, 0);
      minimums[o / 32 + j] = -dmin * sixBits(raw, p + 4, j, 4);
      const from = p + 16 + (j >> 1) * 32;
      const shift = (j & 1) * 4;
      for (let i = 0; i < 32; i++) q[o + j * 32 + i] = (byte(raw, from + i) >> shift) & 15;
    }
  }
};

/** By the number a GGUF file gives. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map<number, GgmlType>([
  [0, { name: 'F32', blockSize: 1, blockBytes: 4, dequantize: f32 }],
  [1, { name: 'F16', blockSize: 1, blockBytes: 2, dequantize: f16 }],
  [30, { name: 'BF16', blockSize: 1, blockBytes: 2, dequantize: bf16 }],
  [2, { name: 'Q4_0', blockSize: 32, blockBytes: 18, dequantize: q4_0, unpack: unpackQ4_0 }],
  [3, { name: 'Q4_1', blockSize: 32, blockBytes: 20, dequantize: q4_1, unpack: unpackQ4_1 }],
  [6, { name: 'Q5_0', blockSize: 32, blockBytes: 22, dequantize: q5_0 }],
  [7, { name: 'Q5_1', blockSize: 32, blockBytes: 24, dequantize: q5_1 }],
  [8, { name: 'Q8_0', blockSize: 32, blockBytes: 34, dequantize: q8_0 }],
  [12, { name: 'Q4_K', blockSize: 256, blockBytes: 144, dequantize: q4_k, unpack: unpackQ4_K }],
  [13, { name: 'Q5_K', blockSize: 256, blockBytes: 176, dequantize: q5_k }],
  [14, { name: 'Q6_K', blockSize: 256, blockBytes: 210, dequantize: q6_k }],
]);

/** Names of the types that are not read, so that a message can say which one it was. */
export const OTHER_GGML_TYPES: Readonly<Record<number, string>> = {
  9: 'Q8_1',
  10: 'Q2_K',
  11: 'Q3_K',
  15: 'Q8_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  24: 'I8',
  25: 'I16',
  26: 'I32',
  27: 'I64',
  28: 'F64',
  29: 'IQ1_M',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
};
