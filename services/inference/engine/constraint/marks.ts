/**
 * Marks: bytes that no UTF-8 has, which a grammar allows where a limited string may begin and wherever it may go on or end. Whether a mark
 * may come next tells which limits hold there. Never generated.
 */

/** Of a string within a JSON text. */
export interface StringLimits {
  /** Characters (code points); both ends included, the last may be Infinity. */
  readonly min: number;
  readonly max: number;
  /** What it may not be, as it would stand between the quotes. */
  readonly not: readonly string[];
}

/** How many different limits one grammar may have. */
export const MOST_LIMITS = 64;

const BEFORE = 0xfe;
const INSIDE = 0xff;

/** In front of the quote that opens a string with the limits of this index. */
export function markBefore(index: number): Uint8Array {
  return Uint8Array.of(BEFORE, 0x80 + index);
}

/** Between two characters of it. */
export function markInside(index: number): Uint8Array {
  return Uint8Array.of(INSIDE, 0x80 + index);
}

/** Whether these bytes could be taken for a mark, or its beginning. */
export function mayMark(bytes: Uint8Array): boolean {
  return bytes.includes(BEFORE) || bytes.includes(INSIDE);
}
