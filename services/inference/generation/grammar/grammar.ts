/**
 * Grammars while they are built: texts, character sets, sequences, choices, and rules that may name each other. Bounds how large one may
 * become. Knows no JSON, no regular expression, and not how a grammar is written down.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { MOST_LIMITS, type StringLimits } from '../../engine/contract.ts';
import type { Characters } from './characters.ts';
import { type ByteRange, utf8Sequences } from './utf8.ts';

export type Piece =
  | { readonly type: 'text'; readonly text: string }
  /** One byte of one of these ranges. */
  | { readonly type: 'byte'; readonly ranges: readonly ByteRange[] }
  | { readonly type: 'sequence'; readonly parts: readonly Piece[] }
  /** Nothing fits when there are no options. */
  | { readonly type: 'choice'; readonly options: readonly Piece[] }
  | { readonly type: 'rule'; readonly name: string };

export const NOTHING = text('');

export function text(content: string): Piece {
  return { type: 'text', text: content };
}

/** One character of these, in UTF-8. */
export function oneOf(characters: Characters): Piece {
  const sequences = utf8Sequences(characters);
  const ascii = sequences.flatMap(([first, ...others]) => (first && others.length === 0 ? [first] : []));
  const longer = sequences.filter(({ length }) => length > 1);
  return choice(
    ...(ascii.length === 0 ? [] : [byte(...ascii)]),
    ...longer.map((ranges) => sequence(...ranges.map((range) => byte(range)))),
  );
}

function byte(...ranges: readonly ByteRange[]): Piece {
  return { type: 'byte', ranges };
}

/** These bytes, be they UTF-8 or not. */
export function rawBytes(bytes: Uint8Array): Piece {
  return sequence(...Array.from(bytes, (one) => byte([one, one])));
}

export function sequence(...parts: readonly Piece[]): Piece {
  return { type: 'sequence', parts };
}

/** Choices among them count as their options. */
export function choice(...options: readonly Piece[]): Piece {
  const flat = options.flatMap((option) => (option.type === 'choice' ? option.options : [option]));
  return flat.length === 1 && flat[0] ? flat[0] : { type: 'choice', options: flat };
}

/** What it is a choice of; itself when it is none. */
export function optionsOf(piece: Piece): readonly Piece[] {
  return piece.type === 'choice' ? piece.options : [piece];
}

/** Compiling takes up to a millisecond for each. */
const MOST_PIECES = 20_000;

/** Characters of texts. */
const MOST_TEXT = 200_000;

export class Grammar {
  /** Undefined while it is being defined. */
  readonly rules = new Map<string, Piece | undefined>();
  readonly limits: StringLimits[] = [];
  readonly #byKey = new Map<string, Piece>();
  #prefix = '';
  #pieces = 0;
  #text = 0;

  /** A rule of its own; `define` may use it. AppError invalid_field when the grammar becomes too large. */
  rule(define: (self: Piece) => Piece): Piece {
    const name = `r${this.rules.size}`;
    const self: Piece = { type: 'rule', name };
    this.rules.set(name, undefined);
    const body = define(self);
    this.#count(body);
    this.rules.set(name, body);
    return self;
  }

  /** What is shared while `make` runs is not shared with what has another name: two schemas have the same keys. */
  within<T>(name: string, make: () => T): T {
    const outer = this.#prefix;
    this.#prefix = `${outer}${name} `;
    try {
      return make();
    } finally {
      this.#prefix = outer;
    }
  }

  /** The same rule whenever it is asked for by `key`. */
  shared(name: string, define: (self: Piece) => Piece): Piece {
    const key = this.#prefix + name;
    const known = this.#byKey.get(key);
    if (known) return known;
    return this.rule((self) => {
      this.#byKey.set(key, self);
      return define(self);
    });
  }

  /** `piece` so many times; `max` may be Infinity. Repetitions of one `key` share their rules. */
  repeat(piece: Piece, min: number, max: number, key = `repeated ${this.rules.size}`): Piece {
    const required: Piece[] = new Array(Math.min(min, MOST_PIECES)).fill(piece);
    // Options side by side: a rule that goes on with itself after one character is compiled quickly.
    const orMore = (after: Piece) => choice(NOTHING, ...optionsOf(piece).map((option) => sequence(option, after)));
    if (max === Infinity) return sequence(...required, this.shared(`${key} without end`, orMore));
    let more = NOTHING;
    for (let count = 1; count <= max - min; count++) {
      const after = more;
      more = this.shared(`${key} up to ${count}`, () => orMore(after));
    }
    return sequence(...required, more);
  }

  /** The index of limits of strings. AppError invalid_field when there are too many. */
  limitsIndex(limits: StringLimits): number {
    const key = JSON.stringify(limits);
    const known = this.limits.findIndex((other) => JSON.stringify(other) === key);
    if (known >= 0) return known;
    if (this.limits.length === MOST_LIMITS) {
      throw refusal(`its strings have more than ${MOST_LIMITS} different limits of length and of other property names`);
    }
    return this.limits.push(limits) - 1;
  }

  #count(body: Piece): void {
    const pieces = [body];
    for (let piece = pieces.pop(); piece; piece = pieces.pop()) {
      this.#pieces++;
      if (piece.type === 'text') this.#text += piece.text.length;
      else if (piece.type === 'byte') this.#pieces += piece.ranges.length;
      else if (piece.type === 'sequence') for (const part of piece.parts) pieces.push(part);
      else if (piece.type === 'choice') for (const option of piece.options) pieces.push(option);
      if (this.#pieces > MOST_PIECES || this.#text > MOST_TEXT) {
        throw refusal('it is too large; ask for fewer properties, values or repetitions');
      }
    }
  }
}

/** What is wrong with the form that was asked for. */
export function refusal(fault: string): AppError {
  return new AppError('invalid_field', `response_format: ${fault}`);
}
