/**
 * Objects as grammars: their properties in the order in which they are given, others only after all of these, since a text could otherwise
 * be read in two ways. Knows no schema.
 */
import { choice, type Grammar, type Piece, sequence, text } from '../grammar.ts';
import { literal, pair } from '../json-text.ts';

export interface Property {
  readonly name: string;
  readonly value: Piece;
  readonly isRequired: boolean;
}

export interface ObjectText {
  readonly properties: readonly Property[];
  /** Name and value of another property, and how many of them there may be. */
  readonly other: { readonly pair: Piece; readonly most: number } | undefined;
  readonly mayBeEmpty: boolean;
}

const COMMA = text(',');
const END = text('}');

/** How the text goes on at some property, by what of those before it is there. */
interface Rest {
  readonly all: Piece;
  readonly some: Piece;
  readonly none: Piece;
}

export function objectText(grammar: Grammar, { properties, other, mayBeEmpty }: ObjectText): Piece {
  const more = other && other.most > 0 ? other : undefined;
  const others = more && sequence(more.pair, grammar.repeat(sequence(COMMA, more.pair), 0, more.most - 1), END);
  const empty = mayBeEmpty ? END : choice();
  let rest: Rest = {
    all: others ? choice(END, sequence(COMMA, others)) : END,
    some: END,
    none: empty,
  };
  if (properties.length === 0) return sequence(text('{'), others ? choice(empty, others) : empty);
  for (const [index, property] of [...properties.entries()].toReversed()) {
    rest = before(grammar, property, index === 0, rest);
  }
  return sequence(text('{'), rest.all);
}

function before(grammar: Grammar, { name, value, isRequired }: Property, isFirst: boolean, after: Rest): Rest {
  const here = pair(literal(name), value);
  const withComma = sequence(COMMA, here);
  const orLeftOut = (there: Piece, leftOut: Piece) => (isRequired ? there : choice(there, leftOut));
  const rule = (piece: Piece) => grammar.rule(() => piece);
  if (isFirst) return { ...after, all: orLeftOut(sequence(here, after.all), after.none) };
  const some = rule(orLeftOut(sequence(withComma, after.some), after.some));
  return {
    // Where no others may come it makes no difference.
    all: after.all === after.some ? some : rule(orLeftOut(sequence(withComma, after.all), after.some)),
    some,
    none: rule(orLeftOut(sequence(here, after.some), after.none)),
  };
}
