/**
 * IEEE half precision: float32 to float16 bits, rounded to nearest even; too large becomes infinity.
 */

/** One uint16 of float16 bits per value. */
export function toHalf(values: Float32Array): Uint16Array {
  // Typed arrays have known this conversion since Float16Array.
  return new Uint16Array(Float16Array.from(values).buffer);
}
