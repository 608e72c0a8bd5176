/**
 * The parts of JSON texts as grammars: compact, each value written in one way, and so that what a program reads is what was written
 * (numbers that it can hold, no control characters). Knows no schema.
 */
import { markBefore, markInside, type StringLimits } from '../../engine/contract.ts';
import { type Characters, charactersOf, complement, hasCharacter, intersection, union } from './characters.ts';
import { choice, type Grammar, NOTHING, oneOf, optionsOf, type Piece, rawBytes, sequence, text } from './grammar.ts';

const ESCAPED: readonly (readonly [character: string, letter: string])[] = [
  ['"', '"'],
  ['\\', '\\'],
  ['\b', 'b'],
  ['\f', 'f'],
  ['\n', 'n'],
  ['\r', 'r'],
  ['\t', 't'],
];
const CONTROLS: Characters = [[0, 0x1f]];
const UNESCAPED = complement(union(CONTROLS, charactersOf('"\\')));

/** What a string may hold: of control characters only those with a name of their own. */
export const STRING_CHARACTERS = union(UNESCAPED, charactersOf(ESCAPED.map(([character]) => character).join('')));

/** A program in JavaScript holds all whole numbers of so many digits, and tells all numbers of so many significant ones apart. */
export const MOST_DIGITS = 15;

const DIGIT = oneOf(charactersOf('0123456789'));
const FIRST_DIGIT = oneOf(charactersOf('123456789'));

/** One character of a string, as it is written there. */
export function stringCharacter(characters: Characters): Piece {
  const escapes = ESCAPED.filter(([character]) => hasCharacter(characters, character.charCodeAt(0)));
  const letters = charactersOf(escapes.map(([, letter]) => letter).join(''));
  return choice(oneOf(intersection(characters, UNESCAPED)), sequence(text('\\'), oneOf(letters)));
}

/** A string of these characters, of any length. */
function anyString(grammar: Grammar, characters: Characters = STRING_CHARACTERS): Piece {
  return grammar.shared(`string ${JSON.stringify(characters)}`, () =>
    sequence(text('"'), restOfString(grammar, characters)),
  );
}

export function limitedString(
  grammar: Grammar,
  limits: StringLimits,
  characters: Characters = STRING_CHARACTERS,
): Piece {
  const { min, max, not } = limits;
  if (min === 0 && max === Infinity && not.length === 0) return anyString(grammar, characters);
  if (min > max) return choice();
  const index = grammar.limitsIndex({ min, max, not: not.map((content) => JSON.stringify(content).slice(1, -1)) });
  const rest = restOfString(grammar, characters, rawBytes(markInside(index)));
  return grammar.rule(() => choice(sequence(text('"'), rest), rawBytes(markBefore(index))));
}

function restOfString(grammar: Grammar, characters: Characters, ...others: readonly Piece[]): Piece {
  const options = optionsOf(stringCharacter(characters));
  return grammar.rule((self) => choice(text('"'), ...options.map((option) => sequence(option, self)), ...others));
}

/** This value and no other. */
export function literal(value: unknown): Piece {
  return text(JSON.stringify(value));
}

export function digits(grammar: Grammar, min: number, max: number): Piece {
  if (min > 0) return sequence(...new Array<Piece>(min).fill(DIGIT), digits(grammar, 0, max - min));
  if (max === 0) return NOTHING;
  return grammar.shared(`digits ${max}`, () => choice(NOTHING, sequence(DIGIT, digits(grammar, 0, max - 1))));
}

export function anyInteger(grammar: Grammar): Piece {
  return grammar.shared('integer', () =>
    choice(text('0'), sequence(choice(NOTHING, text('-')), FIRST_DIGIT, digits(grammar, 0, MOST_DIGITS - 1))),
  );
}

export function anyNumber(grammar: Grammar): Piece {
  return grammar.shared('number', () => {
    const whole = choice(text('0'), sequence(FIRST_DIGIT, digits(grammar, 0, MOST_DIGITS - 1)));
    const fraction = sequence(text('.'), digits(grammar, 1, MOST_DIGITS));
    const exponent = sequence(
      oneOf(charactersOf('eE')),
      choice(NOTHING, oneOf(charactersOf('+-'))),
      digits(grammar, 1, 2),
    );
    return sequence(choice(NOTHING, text('-')), whole, choice(NOTHING, fraction), choice(NOTHING, exponent));
  });
}

export function anyBoolean(): Piece {
  return choice(text('true'), text('false'));
}

export function anyValue(grammar: Grammar): Piece {
  return grammar.shared('value', (self) =>
    choice(
      anyString(grammar),
      anyNumber(grammar),
      anyBoolean(),
      text('null'),
      anyArray(grammar, self),
      anyObject(grammar),
    ),
  );
}

export function anyArray(grammar: Grammar, item: Piece = anyValue(grammar)): Piece {
  return grammar.shared('array', () => list(grammar, text('['), item, text(']')));
}

export function anyObject(grammar: Grammar): Piece {
  return grammar.shared('object', () =>
    list(grammar, text('{'), pair(anyString(grammar), anyValue(grammar)), text('}')),
  );
}

export function pair(name: Piece, value: Piece): Piece {
  return sequence(name, text(':'), value);
}

/** Any number of `item` with commas between. */
function list(grammar: Grammar, open: Piece, item: Piece, close: Piece): Piece {
  const more = grammar.rule((self) => choice(close, sequence(text(','), item, self)));
  return sequence(open, choice(close, sequence(item, more)));
}
