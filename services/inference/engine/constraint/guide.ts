/**
 * Which tokens a text of limited form may go on with, asked for while the model computes. Remembers the text, so that another thread can go
 * on with it when its own was ended for somebody else's sake. Knows no sequence and no logits.
 */
import type { ConstraintWorker } from './constraint-worker.ts';
import type { TokenMask } from './mask.ts';
import type { TextGrammar } from './worker-protocol.ts';

/** The form that was asked for cannot be had; the message says why. */
export class FormError extends Error {
  override readonly name = 'FormError';
}

/** Milliseconds of a processor that a text may take in all: usual ones take some ten to compile, and a tenth per token. */
export const TIME_LIMIT = 3000;

interface Waiting {
  readonly guesses: readonly number[];
  readonly resolve: (masks: readonly TokenMask[]) => void;
  readonly reject: (error: Error) => void;
}

export class Guide {
  readonly id: number;
  readonly grammar: TextGrammar;
  /** Rejects with a FormError when there can be no such text, and with another Error when there is no thread to follow it. */
  readonly opened: Promise<void>;
  /** The masks here and after each guess in turn, up to the first that may not come. Undefined until they are there. */
  masks: readonly TokenMask[] | undefined;
  /** What `masks` will be; rejects as `opened` does. */
  answered: Promise<readonly TokenMask[]> | undefined;
  readonly #open = Promise.withResolvers<void>();
  readonly #tokens: number[] = [];
  /** How many of them its thread knows. */
  #told = 0;
  #worker: ConstraintWorker | undefined;
  #waiting: Waiting | undefined;
  #timeLeft = TIME_LIMIT;
  #isClosed = false;

  constructor(id: number, grammar: TextGrammar) {
    this.id = id;
    this.grammar = grammar;
    this.opened = this.#open.promise;
    // Who is not waiting any more is not to be told.
    this.opened.catch(() => {});
  }

  get worker(): ConstraintWorker | undefined {
    return this.#worker;
  }

  /** From here on this thread follows the text. */
  follow(worker: ConstraintWorker): void {
    this.#worker = worker;
    this.#told = 0;
    worker.ask({ type: 'open', id: this.id, grammar: this.grammar }, this.#timeLeft, (_, milliseconds) => {
      this.#timeLeft -= milliseconds;
      this.#open.resolve();
    });
    if (this.#waiting) this.#send(worker, this.#waiting);
  }

  /** Asks once for each place of the text; `masks` or `answered` have the answer. */
  ask(guesses: readonly number[]): void {
    if (this.answered) return;
    const { promise, resolve, reject } = Promise.withResolvers<readonly TokenMask[]>();
    promise.catch(() => {});
    this.answered = promise;
    this.#waiting = { guesses, resolve, reject };
    if (this.#worker) this.#send(this.#worker, this.#waiting);
  }

  accept(token: number): void {
    this.#tokens.push(token);
    this.masks = undefined;
    this.answered = undefined;
  }

  fail(error: Error): void {
    this.#worker = undefined;
    this.#open.reject(error);
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting = undefined;
    this.#worker?.closeText(this.id);
    this.#worker = undefined;
  }

  #send(worker: ConstraintWorker, waiting: Waiting): void {
    const accepted = this.#tokens.slice(this.#told);
    this.#told = this.#tokens.length;
    const question = { type: 'ask', id: this.id, accepted, guesses: waiting.guesses } as const;
    worker.ask(question, this.#timeLeft, (answer, milliseconds) => {
      this.#timeLeft -= milliseconds;
      if (this.#isClosed || answer.type !== 'masks') return;
      this.#waiting = undefined;
      this.masks = answer.masks;
      waiting.resolve(answer.masks);
    });
  }
}
