/**
 * What the engine needs of whatever runs a graph: slots that are filled, continued, copied. Knows no sequence and no runtime.
 */

export type LayoutKind = 'shared-cache' | 'standard' | 'recurrent' | 'synthetic';

/**
 * How a graph carries its cache. A slot is one sequence's place; slots 0..n-1 are decoded together.
 * One call at a time. Logits are rows of `vocabularySize` floats in a buffer the layout owns and reuses: copy what must last.
 */
export interface Layout {
  readonly kind: LayoutKind;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly runtime: string;
  /**
   * Runs `tokens` at positions start.. of `slot`. Which positions' logits to compute: the last, none (an inner chunk of a long
   * prompt), or all (scoring). Rejects with `TerminatedError` when `terminate` was called meanwhile; the slot's positions from
   * `start` on are then undefined.
   */
  prefill(
    slot: number,
    tokens: readonly number[],
    start: number,
    logits: 'last' | 'none' | 'all',
  ): Promise<Float32Array>;
  /** One token for each of slots 0..tokens.length-1; `lengths[i]` positions of slot i are already filled. Rows in slot order. */
  decode(tokens: readonly number[], lengths: readonly number[]): Promise<Float32Array>;
  /**
   * Runs `tokens` at positions start.. of slot 0 at once, with the logits of each bit for bit those that `decode` would give them one
   * after the other: so that guessed tokens can be checked in one run. Undefined when the layout cannot promise that.
   */
  readonly verify?: (tokens: readonly number[], start: number) => Promise<Float32Array>;
  /**
   * A slot holds only what its whole sequence leaves behind: no other sequence can start from its first positions. A run can go on from
   * where the slot stands, from where its last run began (what was computed for nobody is then forgotten), or from position 0.
   */
  readonly onlyForward?: true;
  /** Copies the first `length` positions of one slot to another (shared prefixes; moving a slot when another leaves). */
  copySlot(from: number, to: number, length: number): void;
  /** Stops the run in progress as soon as the runtime allows. */
  terminate(): void;
  close(): Promise<void>;
}

export class TerminatedError extends Error {
  override readonly name = 'TerminatedError';
}
