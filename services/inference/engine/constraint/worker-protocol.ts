/**
 * The words between the engine and a thread that follows grammars. Every `open` and `ask` is answered, in order.
 */
import type { StringLimits } from './marks.ts';
import type { TokenMask } from './mask.ts';
import type { TokenTable } from './token-table.ts';

/** A thread keeps so many compiled, the newest. */
export const KEPT_GRAMMARS = 32;

/** What a text must be: a grammar, and the ranges that its marks stand for. */
export interface TextGrammar {
  /** EBNF as xgrammar reads it; the rule `root` is the whole text. */
  readonly ebnf: string;
  readonly limits: readonly StringLimits[];
}

export interface WorkerData {
  readonly tokens: TokenTable;
  readonly mostHeapBytes: number;
}

export type ToWorker =
  | { readonly type: 'open'; readonly id: number; readonly grammar: TextGrammar }
  /** The masks after the tokens `accepted` since the last time, and then after each of `guesses`, up to the first that may not come. */
  | {
      readonly type: 'ask';
      readonly id: number;
      readonly accepted: readonly number[];
      readonly guesses: readonly number[];
    }
  | { readonly type: 'close'; readonly id: number };

export type FromWorker =
  /** The first message. */
  | ({ readonly type: 'ready' } & Spent)
  | ({ readonly type: 'opened'; readonly heapBytes: number } & Spent)
  | ({ readonly type: 'masks'; readonly masks: readonly TokenMask[] } & Spent)
  /** The thread is of no use any more. */
  | { readonly type: 'broken'; readonly reason: string };

/** Milliseconds of a processor that the thread has taken since it began: a busy machine is nobody's fault. */
interface Spent {
  readonly spent: number;
}
