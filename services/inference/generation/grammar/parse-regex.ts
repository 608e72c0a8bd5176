/**
 * A regular expression, in JavaScript's syntax with the `u` flag, as a tree. What is no regular language (back references, assertions but
 * `^` and `$`) or would take tables (`\p{...}`, ignoring case) is refused by name. Knows no grammar.
 */
import { type Characters, charactersOf, complement, union } from './characters.ts';

export type Regex =
  | { readonly type: 'characters'; readonly characters: Characters }
  | { readonly type: 'sequence'; readonly parts: readonly Regex[] }
  | { readonly type: 'choice'; readonly options: readonly Regex[] }
  /** `max` may be Infinity. */
  | { readonly type: 'repeat'; readonly body: Regex; readonly min: number; readonly max: number }
  /** `^` and `$`. */
  | { readonly type: 'start' }
  | { readonly type: 'end' };

/** Says what is wrong with an expression, and where. */
export class RegexError extends Error {
  override readonly name = 'RegexError';
}

const LINE_ENDS = charactersOf('\n\r\u2028\u2029');
const DIGITS = charactersOf('0123456789');
const WORD: Characters = union(
  [['a'.charCodeAt(0), 'z'.charCodeAt(0)]],
  [['A'.charCodeAt(0), 'Z'.charCodeAt(0)]],
  DIGITS,
  charactersOf('_'),
);
const SPACE = union(charactersOf('\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), [[0x2000, 0x200a]]);

const CLASSES: Readonly<Record<string, Characters>> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Readonly<Record<string, string>> = { t: '\t', n: '\n', v: '\v', f: '\f', r: '\r', 0: '\0' };
const MOST_COUNT = 100_000;
const DEEPEST = 200;

/** Throws a RegexError. */
export function parseRegex(source: string): Regex {
  return new Parser(source).parse();
}

class Parser {
  readonly #letters: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#letters = Array.from(source);
  }

  parse(): Regex {
    const whole = this.#choice();
    if (this.#next !== undefined) throw this.#error('a ) that closes nothing');
    return whole;
  }

  get #next(): string | undefined {
    return this.#letters[this.#at];
  }

  #take(expected: string): boolean {
    const isThere = this.#letters.slice(this.#at, this.#at + expected.length).join('') === expected;
    if (isThere) this.#at += expected.length;
    return isThere;
  }

  #error(what: string): RegexError {
    return new RegexError(`${what} at character ${this.#at + 1}`);
  }

  #choice(): Regex {
    const options = [this.#sequence()];
    while (this.#take('|')) options.push(this.#sequence());
    return options.length === 1 && options[0] ? options[0] : { type: 'choice', options };
  }

  #sequence(): Regex {
    const parts: Regex[] = [];
    for (let next = this.#next; next !== undefined && next !== '|' && next !== ')'; next = this.#next) {
      parts.push(this.#quantified());
    }
    return parts.length === 1 && parts[0] ? parts[0] : { type: 'sequence', parts };
  }

  #quantified(): Regex {
    const atom = this.#atom();
    const bounds = this.#bounds();
    if (!bounds) return atom;
    if (atom.type === 'start' || atom.type === 'end') throw this.#error('a ^ or $ that is repeated');
    // Lazy or not: the texts are the same.
    this.#take('?');
    if (/^[*+?{]$/.test(this.#next ?? '')) throw this.#error('a repetition of a repetition');
    const [min, max] = bounds;
    if (min > max) throw this.#error('a repetition whose least count is above its most');
    return { type: 'repeat', body: atom, min, max };
  }

  #bounds(): readonly [number, number] | undefined {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    if (!this.#take('{')) return undefined;
    const min = this.#count();
    const max = this.#take(',') ? (this.#next === '}' ? Infinity : this.#count()) : min;
    if (!this.#take('}')) throw this.#error('a { that is no repetition; a brace as such is \\{');
    return [min, max];
  }

  #count(): number {
    let count = '';
    while (/^\d$/.test(this.#next ?? '')) count += this.#letters[this.#at++];
    if (count === '') throw this.#error('a { that is no repetition; a brace as such is \\{');
    if (Number(count) > MOST_COUNT) throw this.#error('too high a count');
    return Number(count);
  }

  #atom(): Regex {
    if (this.#take('^')) return { type: 'start' };
    if (this.#take('$')) return { type: 'end' };
    if (this.#take('.')) return { type: 'characters', characters: complement(LINE_ENDS) };
    if (this.#take('(')) return this.#group();
    if (this.#take('[')) return { type: 'characters', characters: this.#class() };
    if (this.#take('\\')) return { type: 'characters', characters: this.#escape() };
    const letter = this.#next ?? '';
    if (/^[*+?{}\]]$/.test(letter)) throw this.#error(`a ${letter} that stands for nothing; as such it is \\${letter}`);
    this.#at++;
    return { type: 'characters', characters: charactersOf(letter) };
  }

  #group(): Regex {
    if (++this.#depth > DEEPEST) throw this.#error(`more than ${DEEPEST} groups within each other`);
    if (this.#take('?')) {
      const isNamed = this.#next === '<' && !/^[=!]$/.test(this.#letters[this.#at + 1] ?? '');
      if (isNamed) while (this.#next !== undefined && this.#letters[this.#at - 1] !== '>') this.#at++;
      else if (!this.#take(':')) {
        throw this.#error('a look ahead or behind, or a flag; only (...), (?:...) and (?<name>...) can be followed');
      }
    }
    const body = this.#choice();
    if (!this.#take(')')) throw this.#error('a ( that is not closed');
    this.#depth--;
    return body;
  }

  /** After the backslash. */
  #escape(): Characters {
    const letter = this.#letters[this.#at++];
    if (letter === undefined) throw this.#error('a \\ with nothing after it');
    const known = CLASSES[letter];
    if (known) return known;
    if (letter === '0' && /^\d$/.test(this.#next ?? '')) throw this.#error('an octal escape');
    const control = CONTROLS[letter];
    if (control !== undefined) return charactersOf(control);
    if (letter === 'x') return this.#character(this.#hex(2));
    if (letter === 'u') return this.#character(this.#codePoint());
    if (letter === 'c' && /^[a-zA-Z]$/.test(this.#next ?? '')) {
      return charactersOf(String.fromCharCode((this.#letters[this.#at++] ?? '').charCodeAt(0) % 32));
    }
    if (/^[pP]$/.test(letter)) throw this.#error('a class of Unicode (\\p); write its ranges');
    if (/^[bB]$/.test(letter)) throw this.#error('a word boundary (\\b), which cannot be followed');
    if (/^[1-9k]$/.test(letter)) throw this.#error('a back reference, which cannot be followed');
    if (/^[a-zA-Z]$/.test(letter)) throw this.#error(`an unknown escape (\\${letter})`);
    return charactersOf(letter);
  }

  #codePoint(): number {
    if (!this.#take('{')) {
      const first = this.#hex(4);
      const isHigh = first >= 0xd800 && first < 0xdc00;
      if (!isHigh || !this.#take('\\u')) return first;
      return 0x10000 + ((first - 0xd800) << 10) + (this.#hex(4) - 0xdc00);
    }
    let digits = '';
    while (/^[0-9a-fA-F]$/.test(this.#next ?? '')) digits += this.#letters[this.#at++];
    if (digits === '' || digits.length > 8 || !this.#take('}')) throw this.#error('a \\u{ without its character');
    return Number.parseInt(digits, 16);
  }

  #hex(length: number): number {
    const digits = this.#letters.slice(this.#at, this.#at + length).join('');
    if (digits.length !== length || !/^[0-9a-fA-F]+$/.test(digits))
      throw this.#error(`an escape without its ${length} digits`);
    this.#at += length;
    return Number.parseInt(digits, 16);
  }

  #character(code: number): Characters {
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw this.#error('an escape that is no character');
    return [[code, code]];
  }

  /** After the bracket. */
  #class(): Characters {
    const isNegated = this.#take('^');
    const members: Characters[] = [];
    while (!this.#take(']')) {
      const from = this.#member();
      if (this.#next !== '-' || this.#letters[this.#at + 1] === ']') {
        members.push(from);
        continue;
      }
      this.#at++;
      const [first, last] = [single(from), single(this.#member())];
      if (first === undefined || last === undefined || first > last) throw this.#error('a range that is none');
      members.push([[first, last]]);
    }
    return isNegated ? complement(union(...members)) : union(...members);
  }

  #member(): Characters {
    if (this.#next === undefined) throw this.#error('a [ that is not closed');
    if (this.#take('\\')) return this.#take('b') ? charactersOf('\b') : this.#escape();
    return charactersOf(this.#letters[this.#at++] ?? '');
  }
}

function single(characters: Characters): number | undefined {
  const [range, ...others] = characters;
  return range && others.length === 0 && range[0] === range[1] ? range[0] : undefined;
}
