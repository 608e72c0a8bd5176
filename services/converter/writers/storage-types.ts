/**
 * The types weights are written in, and how float32 values become their bytes. Q8_0 and Q4_0 round as ggml's reference does
 * (ggml-quants.c, quantize_row_q8_0_ref and quantize_row_q4_0_ref), bit for bit: every step is a float32, so each is rounded here.
 * Knows no file and no tensor.
 */

export interface StorageType {
  readonly name: 'F32' | 'F16' | 'BF16' | 'Q8_0' | 'Q4_0';
  /** Values in one block; a row is whole blocks. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /**
   * Writes `values` (whole blocks) to the beginning of `into`. False when one of them, or a block's scale, is too large for the type:
   * what was written is then of no use.
   */
  readonly encode: (values: Float32Array, into: Uint8Array) => boolean;
}

/** Both infinity and NaN: all ones in the exponent of a half. */
const HALF_EXPONENT = 0x7c00;

const half = new Float16Array(1);
const halfBits = new Uint16Array(half.buffer);

/** Writes `value` as a little-endian half; false when it is too large for one. */
function putHalf(value: number, into: Uint8Array, at: number): boolean {
  half[0] = value;
  const bits = halfBits[0] as number;
  into[at] = bits & 255;
  into[at + 1] = bits >> 8;
  return (bits & HALF_EXPONENT) !== HALF_EXPONENT;
}

const f32: StorageType['encode'] = (values, into) => {
  into.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return true;
};

const f16: StorageType['encode'] = (values, into) => {
  const bits = new Uint16Array(new Float16Array(values).buffer);
  into.set(new Uint8Array(bits.buffer));
  let fits = true;
  for (let i = 0; i < bits.length; i++) if (((bits[i] as number) & HALF_EXPONENT) === HALF_EXPONENT) fits = false;
  return fits;
};

/** The upper half of a float32, rounded to nearest even. */
const bf16: StorageType['encode'] = (values, into) => {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let fits = true;
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] as number;
    const rounded = (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
    into[i * 2] = rounded & 255;
    into[i * 2 + 1] = rounded >> 8;
    if ((rounded & 0x7f80) === 0x7f80) fits = false;
  }
  return fits;
};

/** 32 values: a half d = largest / 127, then 32 int8, rounded half away from zero. */
const q8_0: StorageType['encode'] = (values, into) => {
  let fits = true;
  for (let from = 0, at = 0; from < values.length; from += 32, at += 34) {
    let largest = 0;
    for (let i = from; i < from + 32; i++) {
      const size = Math.abs(values[i] as number);
      if (size > largest) largest = size;
    }
    const scale = Math.fround(largest / 127);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    if (!putHalf(scale, into, at)) fits = false;
    for (let i = 0; i < 32; i++) {
      const scaled = Math.fround((values[from + i] as number) * inverse);
      // The float32 sum would be rounded once more; a double holds it exactly.
      into[at + 2 + i] = scaled < 0 ? -Math.floor(0.5 - scaled) : Math.floor(scaled + 0.5);
    }
  }
  return fits;
};

/** 32 values: a half d = the value furthest from zero / -8, then 16 bytes: value i in the low, value i + 16 in the high 4 bits. */
const q4_0: StorageType['encode'] = (values, into) => {
  let fits = true;
  for (let from = 0, at = 0; from < values.length; from += 32, at += 18) {
    let furthest = 0;
    for (let i = from; i < from + 32; i++) {
      const value = values[i] as number;
      if (Math.abs(value) > Math.abs(furthest)) furthest = value;
    }
    const scale = Math.fround(furthest / -8);
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    if (!putHalf(scale, into, at)) fits = false;
    for (let i = 0; i < 16; i++) {
      into[at + 2 + i] =
        fourBits(values[from + i] as number, inverse) | (fourBits(values[from + 16 + i] as number, inverse) << 4);
    }
  }
  return fits;
};

function fourBits(value: number, inverse: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)));
}

export const STORAGE_TYPES = {
  F32: { name: 'F32', blockSize: 1, blockBytes: 4, encode: f32 },
  F16: { name: 'F16', blockSize: 1, blockBytes: 2, encode: f16 },
  BF16: { name: 'BF16', blockSize: 1, blockBytes: 2, encode: bf16 },
  Q8_0: { name: 'Q8_0', blockSize: 32, blockBytes: 34, encode: q8_0 },
  Q4_0: { name: 'Q4_0', blockSize: 32, blockBytes: 18, encode: q4_0 },
} as const satisfies Record<string, StorageType>;

/** Bytes of `count` values, which are whole blocks. */
export function storedBytes(type: StorageType, count: number): number {
  return (count / type.blockSize) * type.blockBytes;
}
