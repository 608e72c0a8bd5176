/**
 * The bytes that each token id stands for, as plain data: all that a constraint needs to know of a tokenizer. Special tokens have none.
 */

export interface TokenTable {
  readonly bytes: Uint8Array;
  /** Where the bytes of each id end; they begin where those of the id before it do. */
  readonly ends: Uint32Array;
}

export function tokenBytes(table: TokenTable, token: number): Uint8Array {
  return table.bytes.subarray(token === 0 ? 0 : table.ends[token - 1], table.ends[token]);
}
