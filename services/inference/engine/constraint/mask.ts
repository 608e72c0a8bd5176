/**
 * Which tokens may come next, and what that does to a row of logits. Plain data; knows no grammar.
 */

export interface TokenMask {
  /** Bit `id % 32` of word `id / 32`: whether the token may come. Ids beyond the last word may not. */
  readonly words: Int32Array;
  /** Whether what was generated so far is whole. */
  readonly mayEnd: boolean;
  /** Whether any token may come. */
  readonly mayGoOn: boolean;
}

/** What may not come gets -Infinity. The ids of `ends` end the text, whatever they stand for, and may come where it may end. */
export function applyMask(row: Float32Array, mask: TokenMask, ends: readonly number[]): void {
  const kept = mask.mayEnd ? ends.map((id) => row[id]) : [];
  const { words } = mask;
  for (let word = 0; word < words.length; word++) {
    const bits = words[word] as number;
    if (bits === -1) continue;
    const start = word * 32;
    if (bits === 0) row.fill(-Infinity, start, start + 32);
    else for (let bit = 0; bit < 32; bit++) if (((bits >>> bit) & 1) === 0) row[start + bit] = -Infinity;
  }
  row.fill(-Infinity, words.length * 32);
  for (const [index, id] of ends.entries()) if (id < row.length) row[id] = kept[index] ?? -Infinity;
}
