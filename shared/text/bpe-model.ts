/**
 * The `model` of a tokenizer.json of type BPE: vocabulary, merges, and one pre-tokenized word to ids. Both kinds in use: over the
 * bytes of the word (byte-level) and over its characters with bytes for those not in the vocabulary (SentencePiece).
 */
import { AppError } from '../contracts/errors.ts';
import { BYTE_LETTERS } from './byte-letters.ts';
import { MAX_MERGES, PairMerger } from './pair-merger.ts';
import { Vocabulary } from './vocabulary.ts';
import { WordCache } from './word-cache.ts';

export interface BpeModelJson {
  readonly vocab: unknown;
  readonly merges?: unknown;
  readonly unk_token?: string | null | undefined;
  readonly fuse_unk?: boolean | null | undefined;
  readonly byte_fallback?: boolean | null | undefined;
  readonly ignore_merges?: boolean | null | undefined;
}

export class BpeModel {
  readonly #vocabulary: Vocabulary;
  /** By id; undefined where the vocabulary has a gap. */
  readonly pieces: (string | undefined)[];
  readonly #merger: PairMerger;
  readonly #byteLevel: boolean;
  readonly #ignoreMerges: boolean;
  readonly #unknown: number;
  readonly #fuseUnknown: boolean;
  /** Id of each byte: its letter's (byte-level) or `<0x0A>`'s (byte fallback); -1 for none. */
  readonly #byteIds: Int32Array;
  /** Where a word falls into parts that no merge joins, which are known more often than the whole; undefined: nowhere. */
  readonly #parts: RegExp | undefined;
  readonly #cache = new WordCache();
  #symbols = new Int32Array(1024);
  readonly #bytes = new TextEncoder();

  constructor(json: BpeModelJson, byteLevel: boolean) {
    this.#byteLevel = byteLevel;
    this.#ignoreMerges = json.ignore_merges === true;
    this.#fuseUnknown = json.fuse_unk === true;
    this.#vocabulary = new Vocabulary(json.vocab);
    this.pieces = this.#vocabulary.pieces;
    this.#unknown = typeof json.unk_token === 'string' ? (this.idOf(json.unk_token) ?? -1) : -1;
    const fallback = json.byte_fallback === true;
    this.#byteIds = Int32Array.from(BYTE_LETTERS, (letter, byte) => {
      const name = byteLevel ? letter : `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
      return byteLevel || fallback ? (this.idOf(name) ?? -1) : -1;
    });
    this.#merger = this.#loadMerges(json.merges);
    this.#parts = byteLevel ? undefined : this.#findParts();
  }

  idOf(piece: string): number | undefined {
    return this.#vocabulary.idOf(piece);
  }

  #loadMerges(merges: unknown): PairMerger {
    if (!Array.isArray(merges) || merges.length > MAX_MERGES) throw invalid('model.merges is no array of pairs');
    const merger = new PairMerger(merges.length);
    // Most vocabularies list what merges make in the order of the merges, so the id is known without looking it up.
    let next = 0;
    for (let rank = 0; rank < merges.length; rank++) {
      const [left, right] = splitMerge(merges[rank], rank);
      const leftId = this.idOf(left);
      const rightId = this.idOf(right);
      const merged = this.#isJoined(next, left, right) ? next : this.idOf(left + right);
      if (leftId === undefined || rightId === undefined || merged === undefined) {
        throw invalid(`model.merges[${rank}] (${left} ${right}) names a piece that is not in the vocabulary`);
      }
      merger.add(leftId, rightId, rank, merged);
      next = merged + 1;
    }
    return merger;
  }

  #isJoined(id: number, left: string, right: string): boolean {
    const piece = this.pieces[id];
    return piece?.length === left.length + right.length && piece.startsWith(left) && piece.endsWith(right);
  }

  /** No piece has a space after another letter, or a line break beside one, so no merge crosses there. */
  #findParts(): RegExp | undefined {
    const some = (pattern: RegExp) => this.pieces.some((piece) => piece !== undefined && pattern.test(piece));
    if (some(/[^▁]▁/)) return undefined;
    // One that is unknown could be one token with its neighbours.
    const known = this.idOf('\n') ?? this.#byteIds[0x0a] ?? -1;
    return known === -1 || some(/.\n|\n.|.<0x0A>|<0x0A>./s) ? /▁+[^▁]*|[^▁]+/g : /▁+[^▁\n]*|[^▁\n]+|\n/g;
  }

  /** Appends the ids of one word. */
  encodeWord(word: string, into: number[]): void {
    if (this.#parts === undefined) this.#cache.encode(word, into, this.#encode);
    else for (const part of word.match(this.#parts) ?? []) this.#cache.encode(part, into, this.#encode);
  }

  readonly #encode = (word: string, into: number[]): void => {
    const whole = this.#ignoreMerges ? this.idOf(this.#byteLevel ? this.#letters(word) : word) : undefined;
    if (whole !== undefined) {
      into.push(whole);
      return;
    }
    // A UTF-16 unit is at most three bytes.
    if (this.#symbols.length < word.length * 3) this.#symbols = new Int32Array(word.length * 3);
    const length = this.#byteLevel ? this.#fromBytes(word) : this.#fromCharacters(word);
    const symbols = this.#symbols;
    const merged = this.#merger.merge(symbols, length);
    for (let i = 0; i < merged; i++) into.push(symbols[i] ?? 0);
    if (this.#symbols.length > 1 << 16) this.#symbols = new Int32Array(1024);
  };

  #letters(word: string): string {
    return Array.from(this.#bytes.encode(word), (byte) => BYTE_LETTERS[byte] ?? '').join('');
  }

  #fromBytes(word: string): number {
    let length = 0;
    for (const byte of this.#bytes.encode(word)) length = this.#put(this.#byteIds[byte] ?? -1, length);
    return length;
  }

  #fromCharacters(word: string): number {
    let length = 0;
    for (const character of word) {
      const id = this.idOf(character);
      if (id !== undefined) {
        this.#symbols[length++] = id;
        continue;
      }
      const bytes = this.#bytes.encode(character);
      if (bytes.every((byte) => this.#byteIds[byte] !== -1)) {
        for (const byte of bytes) length = this.#put(this.#byteIds[byte] ?? -1, length);
      } else length = this.#put(-1, length);
    }
    return length;
  }

  /** What has no id is the unknown token, one for a run of them where the model says so, or nothing. */
  #put(id: number, length: number): number {
    const known = id === -1 ? this.#unknown : id;
    if (known === -1) return length;
    if (id === -1 && this.#fuseUnknown && length > 0 && this.#symbols[length - 1] === known) return length;
    this.#symbols[length] = known;
    return length + 1;
  }
}

/** "left right" or ["left", "right"]. */
function splitMerge(merge: unknown, rank: number): [string, string] {
  if (typeof merge === 'string') {
    const space = merge.indexOf(' ');
    if (space > 0) return [merge.slice(0, space), merge.slice(space + 1)];
  }
  if (Array.isArray(merge)) {
    const [left, right]: unknown[] = merge;
    if (typeof left === 'string' && typeof right === 'string') return [left, right];
  }
  throw invalid(`model.merges[${rank}] is no pair`);
}

function invalid(fault: string): AppError {
  return new AppError('invalid_source', `tokenizer.json: ${fault}`);
}
