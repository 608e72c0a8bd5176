/**
 * The `model` of a tokenizer.json of type Unigram: of all ways to write a word in pieces the one whose scores add up highest. Source:
 * Kudo 2018 (subword regularization), and `encode_optimized` and `tokenize` in huggingface/tokenizers,
 * tokenizers/src/models/unigram/model.rs, whose order of additions and comparisons decides between equals.
 */
import { AppError } from '../contracts/errors.ts';
import { PieceTrie } from './piece-trie.ts';
import { WordCache } from './word-cache.ts';

/** How much worse than the worst piece a character is that no piece begins with. */
const UNKNOWN_PENALTY = 10;
const MAX_VOCABULARY = 4_000_000;
/** Longer words have their own memory, which is given back. */
const KEPT_LENGTH = 1 << 16;

export interface UnigramModelJson {
  readonly vocab: unknown;
  readonly unk_id?: number | null | undefined;
  readonly byte_fallback?: boolean | null | undefined;
}

export class UnigramModel {
  readonly pieces: (string | undefined)[] = [];
  readonly #ids = new Map<string, number>();
  readonly #scores: Float64Array;
  readonly #trie: PieceTrie;
  readonly #unknown: number;
  readonly #unknownScore: number;
  /** Id of each byte's piece; undefined when a byte has none, or the model does not want them. */
  readonly #byteIds: readonly number[] | undefined;
  readonly #cache = new WordCache();
  readonly #bytes = new TextEncoder();
  #best = new BestPath(1024);

  /**
   * `special`: pieces that text never becomes, whatever is written in it. AppError invalid_source when the vocabulary is no list of
   * pieces and scores, or has nothing for what is not in it: any text can be asked for.
   */
  constructor(json: UnigramModelJson, special: ReadonlySet<string>) {
    const entries = asEntries(json.vocab);
    this.#scores = Float64Array.from(entries, ([, score]) => score);
    for (const [id, [piece]] of entries.entries()) {
      this.pieces.push(piece);
      this.#ids.set(piece, id);
    }
    this.#trie = new PieceTrie([...this.#ids].filter(([piece]) => !special.has(piece)));
    const lowest = this.#scores.reduce((least, score) => Math.min(least, score), Number.POSITIVE_INFINITY);
    this.#unknownScore = lowest - UNKNOWN_PENALTY;
    const byteIds = Array.from({ length: 256 }, (_, byte) => this.idOf(byteName(byte)) ?? -1);
    this.#byteIds = json.byte_fallback === true && !byteIds.includes(-1) ? byteIds : undefined;
    this.#unknown = json.unk_id ?? -1;
    if (this.pieces[this.#unknown] === undefined && this.#byteIds === undefined) {
      throw invalid(`model.unk_id names no piece for what is not in the vocabulary (${JSON.stringify(json.unk_id)})`);
    }
  }

  idOf(piece: string): number | undefined {
    return this.#ids.get(piece);
  }

  /** Appends the ids of one word. */
  encodeWord(word: string, into: number[]): void {
    this.#cache.encode(word, into, this.#encode);
  }

  readonly #encode = (word: string, into: number[]): void => {
    if (this.#best.capacity < word.length) this.#best = new BestPath(word.length);
    const best = this.#best;
    best.clear(word.length);
    for (let at = 0; at < word.length; ) {
      const width = (word.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
      if (!this.#offerPieces(word, at, width)) best.offer(at + width, at, this.#unknown, this.#unknownScore);
      at += width;
    }
    this.#follow(word, into);
    if (best.capacity > KEPT_LENGTH) this.#best = new BestPath(1024);
  };

  /** Whether the character at `at` is a piece by itself. */
  #offerPieces(word: string, at: number, width: number): boolean {
    let single = false;
    let node = this.#trie.root;
    for (let end = at; end < word.length; ) {
      node = this.#trie.child(node, word.charCodeAt(end));
      if (node === -1) break;
      end++;
      const id = this.#trie.idAt(node);
      if (id === -1) continue;
      this.#best.offer(end, at, id, this.#scores[id] ?? 0);
      if (end - at === width) single = true;
    }
    return single;
  }

  /** The path backwards; neighbours without a piece are one unknown token, or the bytes they are made of. */
  #follow(word: string, into: number[]): void {
    const first = into.length;
    let unknownEnd = -1;
    for (let end = word.length; end > 0; ) {
      const { start, id } = this.#best.before(end);
      if (id === this.#unknown) {
        if (unknownEnd === -1) unknownEnd = end;
        if (start === 0 || this.#best.before(start).id !== this.#unknown) {
          this.#putUnknown(word.slice(start, unknownEnd), into);
          unknownEnd = -1;
        }
      } else into.push(id);
      end = start;
    }
    reverse(into, first);
  }

  /** Backwards, as everything here. */
  #putUnknown(text: string, into: number[]): void {
    const ids = this.#byteIds;
    if (!ids) into.push(this.#unknown);
    else for (const byte of this.#bytes.encode(text).reverse()) into.push(ids[byte] ?? 0);
  }
}

/** For each position of a word the best way to get there: where its last piece began, which it is, what it all scores. */
class BestPath {
  readonly capacity: number;
  readonly #scores: Float64Array;
  readonly #ids: Int32Array;
  readonly #starts: Int32Array;

  constructor(length: number) {
    this.capacity = length;
    this.#scores = new Float64Array(length + 1);
    this.#ids = new Int32Array(length + 1);
    this.#starts = new Int32Array(length + 1);
  }

  clear(length: number): void {
    this.#starts.fill(-1, 0, length + 1);
  }

  /** A piece from `start`, which was reached, to `end`. The first of equals stays. */
  offer(end: number, start: number, id: number, score: number): void {
    const total = score + (start === 0 ? 0 : (this.#scores[start] ?? 0));
    if (this.#starts[end] !== -1 && total <= (this.#scores[end] ?? 0)) return;
    this.#scores[end] = total;
    this.#starts[end] = start;
    this.#ids[end] = id;
  }

  before(end: number): { start: number; id: number } {
    return { start: this.#starts[end] ?? 0, id: this.#ids[end] ?? 0 };
  }
}

function reverse(ids: number[], first: number): void {
  for (let left = first, right = ids.length - 1; left < right; left++, right--) {
    const id = ids[left] ?? 0;
    ids[left] = ids[right] ?? 0;
    ids[right] = id;
  }
}

function byteName(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

function asEntries(vocab: unknown): (readonly [piece: string, score: number])[] {
  if (!Array.isArray(vocab) || vocab.length === 0 || vocab.length > MAX_VOCABULARY) {
    throw invalid('model.vocab is no list of pieces and scores');
  }
  return vocab.map((entry: unknown, id) => {
    const [piece, score]: unknown[] = Array.isArray(entry) ? entry : [];
    if (typeof piece === 'string' && typeof score === 'number') return [piece, score];
    throw invalid(`model.vocab[${id}] is no piece with a score`);
  });
}

function invalid(fault: string): AppError {
  return new AppError('invalid_source', `tokenizer.json: ${fault}`);
}
