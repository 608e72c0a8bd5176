/**
 * The `model` of a tokenizer.json of type WordLevel: every pre-tokenized word is one id, or the unknown token. Behind a pre-tokenizer
 * that isolates each character it is a character vocabulary.
 */
import { AppError } from '../contracts/errors.ts';
import { Vocabulary } from './vocabulary.ts';

export interface WordLevelModelJson {
  readonly vocab: unknown;
  readonly unk_token?: string | null | undefined;
}

export class WordLevelModel {
  readonly #vocabulary: Vocabulary;
  readonly #unknown: number;
  readonly pieces: (string | undefined)[];

  /** AppError invalid_source when there is no id for words that are not in the vocabulary: any text can be asked for. */
  constructor(json: WordLevelModelJson) {
    this.#vocabulary = new Vocabulary(json.vocab);
    this.pieces = this.#vocabulary.pieces;
    const name = json.unk_token ?? '<unk>';
    const unknown = this.idOf(name);
    if (unknown === undefined) {
      throw new AppError(
        'invalid_source',
        `tokenizer.json: model.vocab has no ${JSON.stringify(name)} for what is not in it`,
      );
    }
    this.#unknown = unknown;
  }

  idOf(piece: string): number | undefined {
    return this.#vocabulary.idOf(piece);
  }

  /** Appends the id of one word. */
  encodeWord(word: string, into: number[]): void {
    into.push(this.idOf(word) ?? this.#unknown);
  }
}
