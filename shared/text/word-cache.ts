/**
 * Words with their ids: text repeats itself. Bounded: when it is full it begins anew. Knows no model.
 */

const CACHED_WORDS = 16_384;
const CACHED_LENGTH = 48;

export class WordCache {
  readonly #ids = new Map<string, readonly number[]>();

  /** Appends the ids of `word`: those it had before, or what `encode` appends. */
  encode(word: string, into: number[], encode: (word: string, into: number[]) => void): void {
    const known = this.#ids.get(word);
    if (known) {
      for (let i = 0; i < known.length; i++) into.push(known[i] ?? 0);
      return;
    }
    const start = into.length;
    encode(word, into);
    if (word.length > CACHED_LENGTH) return;
    if (this.#ids.size >= CACHED_WORDS) this.#ids.clear();
    this.#ids.set(word, into.slice(start));
  }
}
