/**
 * The parts of JSON texts as grammars: compact, each value written in one way, and so that what a program reads is what was written
 * (numbers that it can hold, no control characters). Knows no schema.
 */
import { type Characters, charactersOf, complement, hasCharacter, intersection, union } from './characters.ts';
import { choice, type Grammar, NOTHING, oneOf, optionsOf, type Piece, sequence, text } from './grammar.ts';

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
const STRING_CHARACTERS = union(UNESCAPED, charactersOf(ESCAPED.map(([character]) => character).join('')));

/** A program in JavaScript holds all whole numbers of so many digits, and tells all numbers of so many significant ones apart. */
const MOST_DIGITS = 15;

const DIGIT = oneOf(charactersOf('0123456789'));
const FIRST_DIGIT = oneOf(charactersOf('123456789'));

/** One character of a string, as it is written there. */
function stringCharacter(characters: Characters): Piece {
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

function restOfString(grammar: Grammar, characters: Characters): Piece {
  const options = optionsOf(stringCharacter(characters));
  return grammar.rule((self) => choice(text('"'), ...options.map((option) => sequence(option, self))));
}

function digits(grammar: Grammar, min: number, max: number): Piece {
  return grammar.shared(`digits ${min} ${max}`, () => grammar.repeat(DIGIT, min, max));
}

function anyNumber(grammar: Grammar): Piece {
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

function anyBoolean(): Piece {
  return choice(text('true'), text('false'));
}

function anyValue(grammar: Grammar): Piece {
  return grammar.shared('value', (self) =>
    choice(
      anyString(grammar),
      anyNumber(grammar),
      anyBoolean(),
      text('null'),
      list(grammar, text('['), self, text(']')),
      anyObject(grammar),
    ),
  );
}

export function anyObject(grammar: Grammar): Piece {
  return grammar.shared('object', () =>
    list(grammar, text('{'), pair(anyString(grammar), anyValue(grammar)), text('}')),
  );
}

function pair(name: Piece, value: Piece): Piece {
  return sequence(name, text(':'), value);
}

/** Any number of `item` with commas between. */
function list(grammar: Grammar, open: Piece, item: Piece, close: Piece): Piece {
  const more = grammar.rule((self) => choice(close, sequence(text(','), item, self)));
  return sequence(open, choice(close, sequence(item, more)));
}
