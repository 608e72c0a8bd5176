/**
 * The `vocab` of a tokenizer.json: pieces and their ids, both ways. Knows no model.
 */
import { AppError } from '../contracts/errors.ts';

const MAX_VOCABULARY = 4_000_000;

export class Vocabulary {
  /** As it was parsed: building a Map of 50,000 entries would take a third of the loading time. */
  readonly #ids: Readonly<Record<string, unknown>>;
  /** By id; undefined where the vocabulary has a gap. */
  readonly pieces: (string | undefined)[] = [];

  /** AppError invalid_source when it is no object of ids. */
  constructor(vocab: unknown) {
    this.#ids = asObject(vocab);
    for (const piece in this.#ids) {
      const id = this.#ids[piece];
      if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > MAX_VOCABULARY) {
        throw invalid(`model.vocab gives ${JSON.stringify(piece)} the id ${JSON.stringify(id)}`);
      }
      this.pieces[id] = piece;
    }
  }

  idOf(piece: string): number | undefined {
    // What the object inherits (`constructor`) is no number.
    const id = this.#ids[piece];
    return typeof id === 'number' ? id : undefined;
  }
}

function asObject(vocab: unknown): Readonly<Record<string, unknown>> {
  if (typeof vocab !== 'object' || vocab === null || Array.isArray(vocab)) throw invalid('model.vocab is no object');
  // Any object can be looked into by name; what comes out stays unknown.
  return vocab as Readonly<Record<string, unknown>>;
}

function invalid(fault: string): AppError {
  return new AppError('invalid_source', `tokenizer.json: ${fault}`);
}
