/**
 * Keeps the strings of a JSON text within their limits. A grammar could count characters only by a state for each, which takes seconds to
 * compile; instead it has marks (marks.ts), and this counts. Knows bytes, not the grammar.
 */
import { mayMark, type StringLimits } from './marks.ts';
import { type TokenTable, tokenBytes } from './token-table.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** What holds of a string: all limits of which the grammar allows the marks. */
interface Limits {
  readonly min: number;
  readonly max: number;
  /** Its bytes, each as one character. */
  readonly not: ReadonlySet<string>;
}

/** A place in a JSON text, as far as its strings go. */
export interface Place {
  readonly inString: boolean;
  /** Whether a backslash has just been. */
  readonly isEscaping: boolean;
  /** Bytes of a character that are still to come. */
  readonly pending: number;
  /** Characters of the string so far; an escape is one. */
  readonly count: number;
  /** Bytes of the string so far, each as one character; not kept where nothing is forbidden. */
  readonly content: string;
  /** Of the string, when it has any. */
  readonly limits: Limits | undefined;
  /** Of a string that begins here. */
  readonly next: Limits | undefined;
}

const START: Place = {
  inString: false,
  isEscaping: false,
  pending: 0,
  count: 0,
  content: '',
  limits: undefined,
  next: undefined,
};

/** What can be said of tokens without knowing the place. */
export interface MeasuredTokens {
  readonly table: TokenTable;
  /** Characters of tokens that have neither quote nor backslash; of the others -1. */
  readonly plain: Int16Array;
  readonly longestPlain: number;
  /** The others. */
  readonly marked: readonly number[];
  /** Those that hold what a grammar takes for a mark, and no text does. */
  readonly broken: readonly number[];
}

export function measureTokens(table: TokenTable): MeasuredTokens {
  const plain = new Int16Array(table.ends.length);
  const marked: number[] = [];
  const broken: number[] = [];
  for (let token = 0; token < plain.length; token++) {
    const bytes = tokenBytes(table, token);
    const isMarked = bytes.includes(QUOTE) || bytes.includes(BACKSLASH);
    if (isMarked) marked.push(token);
    if (mayMark(bytes)) broken.push(token);
    plain[token] = isMarked ? -1 : bytes.filter(beginsCharacter).length;
  }
  return { table, plain, longestPlain: plain.reduce((longest, count) => Math.max(longest, count), 0), marked, broken };
}

function beginsCharacter(byte: number): boolean {
  return (byte & 0xc0) !== 0x80;
}

/** Follows one text. At each place: `meet`, `narrow`, then `accept`. */
export class LimitedStrings {
  readonly #tokens: MeasuredTokens;
  readonly #limits: readonly Limits[];
  /** May be put back to where it was. */
  place = START;

  constructor(tokens: MeasuredTokens, limits: readonly StringLimits[]) {
    this.#tokens = tokens;
    this.#limits = limits.map((one) => ({ ...one, not: new Set(one.not.map(bytesAsText)) }));
  }

  /** Told the limits whose marks the grammar allows here, by index: those of strings that may begin, and of the one that may go on. */
  meet(before: readonly number[], inside: readonly number[]): void {
    const { inString, isEscaping, pending, limits } = this.place;
    // Within a character there are no marks.
    const isBetween = inString && !isEscaping && pending === 0;
    this.place = { ...this.place, next: this.#all(before), limits: isBetween ? this.#all(inside) : limits };
  }

  /** Takes out of `words` the tokens with which a string would break its limits. */
  narrow(words: Int32Array): void {
    const { plain, longestPlain, marked, broken, table } = this.#tokens;
    const { place } = this;
    const remove = (token: number) => {
      words[token >> 5] = (words[token >> 5] as number) & ~(1 << (token & 31));
    };
    const check = (token: number) => {
      const isAllowed = (((words[token >> 5] as number) >>> (token & 31)) & 1) === 1;
      if (isAllowed && !pass(tokenBytes(table, token), place)) remove(token);
    };
    broken.forEach(remove);
    for (const token of marked) check(token);
    const { limits, count, isEscaping } = place;
    if (!limits) return;
    if (isEscaping) for (let token = 0; token < plain.length; token++) check(token);
    else if (count + longestPlain > limits.max) {
      for (let token = 0; token < plain.length; token++)
        if (count + (plain[token] as number) > limits.max) remove(token);
    }
  }

  accept(token: number): void {
    const after = pass(tokenBytes(this.#tokens.table, token), this.place);
    if (!after) throw new Error(`token ${token} was not allowed here`);
    this.place = after;
  }

  /** All that may hold do: what is whole for one reading of the text may turn out to have been another one. */
  #all(indices: readonly number[]): Limits | undefined {
    const [first, ...others] = indices.flatMap((index) => this.#limits[index] ?? []);
    return others.reduce<Limits | undefined>(
      (all, one) =>
        all && { min: Math.max(all.min, one.min), max: Math.min(all.max, one.max), not: all.not.union(one.not) },
      first,
    );
  }
}

function bytesAsText(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** The place after `bytes`; undefined when a string breaks its limits, or when one begins within the bytes whose limits are not known yet. */
function pass(bytes: Uint8Array, from: Place): Place | undefined {
  let { inString, isEscaping, pending, count, content, limits } = from;
  let isKnown = true;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (!inString) {
      if (byte !== QUOTE) continue;
      inString = true;
      count = 0;
      content = '';
      isKnown = i === 0;
      limits = isKnown ? from.next : undefined;
    } else if (!isKnown) {
      return undefined;
    } else if (byte === QUOTE && !isEscaping) {
      if (limits && (count < limits.min || limits.not.has(content))) return undefined;
      inString = false;
      limits = undefined;
    } else {
      if (!beginsCharacter(byte)) pending--;
      else if (!isEscaping) {
        count++;
        pending = byte < 0xc0 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      }
      if (limits && count > limits.max) return undefined;
      if (limits && limits.not.size > 0) content += String.fromCharCode(byte);
      isEscaping = byte === BACKSLASH && !isEscaping;
    }
  }
  return { inString, isEscaping, pending, count, content, limits, next: undefined };
}
