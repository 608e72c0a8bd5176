/**
 * Ids to text as they are generated: whole characters only, and stop strings found wherever token borders fall. The deltas joined
 * are what `decode` gives for all ids, up to the stop string. Knows no model and no transport.
 */
import type { Tokenizer } from './contract.ts';

export interface TextDelta {
  /** May be empty: half a character, or what may still become a stop string, is held back. */
  readonly text: string;
  /** A stop string was completed. It is not in the text, and nothing follows. */
  readonly stopped: boolean;
}

export class StreamDecoder {
  readonly #tokenizer: Tokenizer;
  readonly #stop: readonly string[];
  readonly #utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  /** The space that encoding put in front has yet to come. */
  #leading: boolean;
  /** Decoded, but may be the beginning of a stop string. */
  #held = '';
  #stopped = false;
  readonly #shown: ReadonlySet<number>;

  /**
   * Empty stop strings are ignored. `continuation`: the text goes on after another one, so that a leading space is its own and
   * not the one that SentencePiece puts in front. `shown`: special tokens whose names are text here.
   */
  constructor(
    tokenizer: Tokenizer,
    stop: readonly string[] = [],
    options: { continuation?: boolean; shown?: ReadonlySet<number> | undefined } = {},
  ) {
    this.#tokenizer = tokenizer;
    this.#stop = stop.filter((text) => text !== '');
    this.#leading = tokenizer.stripsLeadingSpace === true && options.continuation !== true;
    this.#shown = options.shown ?? new Set();
  }

  push(token: number): TextDelta {
    if (this.#stopped) return { text: '', stopped: true };
    const before = this.#utf8.decode(this.#tokenizer.bytesOf(token), { stream: true });
    return this.#add(this.#shown.has(token) ? before + this.#tokenizer.pieceOf(token) : before);
  }

  /** What was still held back; half a character becomes U+FFFD. A stop string that only the end completes is cut as well. */
  end(): string {
    if (this.#stopped) return '';
    const { text, stopped } = this.#add(this.#utf8.decode());
    const rest = stopped ? '' : this.#held;
    this.#held = '';
    this.#stopped = true;
    return text + rest;
  }

  #add(decoded: string): TextDelta {
    const fresh = this.#leading && decoded.startsWith(' ') ? decoded.slice(1) : decoded;
    if (decoded !== '') this.#leading = false;
    const text = this.#held + fresh;
    const found = this.#earliestStop(text);
    if (found !== -1) {
      this.#stopped = true;
      this.#held = '';
      return { text: text.slice(0, found), stopped: true };
    }
    const keep = Math.max(0, ...this.#stop.map((stop) => unfinished(text, stop)));
    this.#held = text.slice(text.length - keep);
    return { text: text.slice(0, text.length - keep), stopped: false };
  }

  /** Where the stop string begins that is completed first, so that token borders change nothing; -1 when none is there. */
  #earliestStop(text: string): number {
    let place = -1;
    let end = Number.POSITIVE_INFINITY;
    for (const stop of this.#stop) {
      const at = text.indexOf(stop);
      if (at === -1 || at + stop.length > end) continue;
      place = at + stop.length < end ? at : Math.min(place, at);
      end = at + stop.length;
    }
    return place;
  }
}

/** Length of the longest end of `text` with which `stop` begins. */
function unfinished(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}
