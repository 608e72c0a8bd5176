/**
 * Numbers within bounds as grammars. What is written compares with a bound as what a program reads does: it never has more significant
 * digits than a program can tell apart. Knows no schema.
 */
import { charactersOf } from '../characters.ts';
import { choice, type Grammar, NOTHING, oneOf, type Piece, sequence, text } from '../grammar.ts';
import { digits, MOST_DIGITS } from '../json-text.ts';
import type { NumberLimits } from './shape.ts';

/** Above it a number could not be told from its neighbours. */
const HIGHEST = 10 ** MOST_DIGITS - 1;

/** A bound that is not negative: its digits before the point, and those behind it up to the last that is not 0. */
interface Limit {
  readonly whole: number;
  readonly fraction: string;
  readonly isExclusive: boolean;
}

const ZERO: Limit = { whole: 0, fraction: '', isExclusive: false };
const END: Limit = { whole: HIGHEST, fraction: '', isExclusive: false };

/** Undefined when a bound has too many digits. */
export function numberWithin(grammar: Grammar, { min, max }: NumberLimits): Piece | undefined {
  if ((min && min.value >= HIGHEST) || (max && max.value <= -HIGHEST)) return choice();
  const [low, high] = [limitOf(min), limitOf(max)];
  if (low === 'unclear' || high === 'unclear') return undefined;
  const isBelow = min !== undefined && min.value < 0;
  const isAbove = max !== undefined && max.value >= 0;
  const positive =
    max !== undefined && !isAbove ? choice() : between(grammar, min === undefined || isBelow ? ZERO : low, high);
  if (min !== undefined && !isBelow) return positive;
  // From the one nearer to zero to the other.
  const nearest = max !== undefined && !isAbove ? high : { ...ZERO, isExclusive: true };
  return choice(positive, sequence(text('-'), between(grammar, nearest, low)));
}

export function integerWithin(grammar: Grammar, { min, max }: NumberLimits): Piece {
  const lowest = min ? (min.isExclusive ? Math.floor(min.value) + 1 : Math.ceil(min.value)) : -HIGHEST;
  const highest = max ? (max.isExclusive ? Math.ceil(max.value) - 1 : Math.floor(max.value)) : HIGHEST;
  const [from, to] = [Math.max(lowest, -HIGHEST), Math.min(highest, HIGHEST)];
  const positive = wholeBetween(grammar, Math.max(from, 0), to);
  return from >= 0 ? positive : choice(positive, sequence(text('-'), wholeBetween(grammar, Math.max(-to, 1), -from)));
}

function limitOf(bound: NumberLimits['min']): Limit | 'unclear' {
  if (!bound) return END;
  const size = Math.abs(bound.value);
  if (size >= HIGHEST) return END;
  const [whole = '', decimals = ''] = size.toFixed(MOST_DIGITS).split('.');
  const fraction = decimals.replace(/0+$/, '');
  if (whole.length + fraction.length > MOST_DIGITS || Number(`${whole}.${fraction}`) !== size) return 'unclear';
  return { whole: Number(whole), fraction, isExclusive: bound.isExclusive };
}

function between(grammar: Grammar, low: Limit, high: Limit): Piece {
  // A fraction has so many digits that numbers beside a bound are still told from it.
  const most = MOST_DIGITS - Math.max(...[low, high].map((limit) => (limit === END ? 1 : String(limit.whole).length)));
  const places = Math.max(1, Math.min(most, MOST_DIGITS - 1));
  const at = (whole: number, fraction: Piece) => sequence(text(String(whole)), fraction);
  const point = (fraction: Piece) => sequence(text('.'), fraction);
  const any = choice(NOTHING, point(digits(grammar, 1, places)));
  const from = (limit: Limit) => {
    const isItself = limit.fraction === '' && !limit.isExclusive;
    return isItself ? any : point(atLeast(grammar, limit.fraction, limit.isExclusive, places));
  };
  const isWholeAllowed = high.fraction !== '' || !high.isExclusive;
  if (low.whole > high.whole) return choice();
  if (low.whole < high.whole) {
    const to = choice(
      ...(isWholeAllowed ? [NOTHING] : []),
      point(atMost(grammar, high.fraction, high.isExclusive, places)),
    );
    return choice(
      at(low.whole, from(low)),
      sequence(wholeBetween(grammar, low.whole + 1, high.whole - 1), any),
      at(high.whole, to),
    );
  }
  const isLowWhole = low.fraction === '' && !low.isExclusive;
  return at(
    low.whole,
    choice(...(isLowWhole && isWholeAllowed ? [NOTHING] : []), point(fractionBetween(grammar, low, high, places))),
  );
}

/** Digits after a point, at most so many, that are at least (or more than) `low`. */
function atLeast(grammar: Grammar, low: string, isExclusive: boolean, places: number): Piece {
  if (low === '' && !isExclusive) return digits(grammar, 0, places);
  if (places === 0) return choice();
  const [first = '0'] = low;
  return grammar.shared(`at least ${low} ${isExclusive} ${places}`, () =>
    choice(
      sequence(digit(Number(first) + 1, 9), digits(grammar, 0, places - 1)),
      sequence(text(first), atLeast(grammar, low.slice(1), isExclusive, places - 1)),
    ),
  );
}

/** At least one digit after a point, and no more than `high` (or less). */
function atMost(grammar: Grammar, high: string, isExclusive: boolean, places: number): Piece {
  const [first, ...rest] = high;
  if (first === undefined || places === 0) return choice();
  return choice(
    sequence(digit(0, Number(first) - 1), digits(grammar, 0, places - 1)),
    sequence(text(first), restAtMost(grammar, rest.join(''), isExclusive, places - 1)),
  );
}

/** After digits that are those of the bound: nothing is less than anything. */
function restAtMost(grammar: Grammar, high: string, isExclusive: boolean, places: number): Piece {
  return choice(...(high !== '' || !isExclusive ? [NOTHING] : []), atMost(grammar, high, isExclusive, places));
}

function fractionBetween(grammar: Grammar, low: Limit, high: Limit, places: number): Piece {
  const [a = '0', b = '0'] = [low.fraction[0], high.fraction[0]];
  if (places === 0 || (high.fraction === '' && low.fraction === '') || Number(a) > Number(b)) return choice();
  const [lowRest, highRest] = [low.fraction.slice(1), high.fraction.slice(1)];
  if (a !== b) {
    return choice(
      sequence(text(a), atLeast(grammar, lowRest, low.isExclusive, places - 1)),
      sequence(digit(Number(a) + 1, Number(b) - 1), digits(grammar, 0, places - 1)),
      sequence(text(b), restAtMost(grammar, highRest, high.isExclusive, places - 1)),
    );
  }
  const isLowDone = lowRest === '' && !low.isExclusive;
  const isHighDone = highRest !== '' || !high.isExclusive;
  const rest = fractionBetween(grammar, { ...low, fraction: lowRest }, { ...high, fraction: highRest }, places - 1);
  return sequence(text(a), choice(...(isLowDone && isHighDone ? [NOTHING] : []), rest));
}

/** Whole numbers from `low` on, which is not negative. */
function wholeBetween(grammar: Grammar, low: number, high: number): Piece {
  if (low > high) return choice();
  const lowest = String(low);
  const options: Piece[] = [];
  // As many as there are lengths, but those in the middle at once.
  const highest = String(high);
  if (lowest.length === highest.length) return sameLength(grammar, lowest, highest);
  options.push(sameLength(grammar, lowest, '9'.repeat(lowest.length)));
  if (highest.length - lowest.length > 1) {
    options.push(sequence(digit(1, 9), digits(grammar, lowest.length, highest.length - 2)));
  }
  options.push(sameLength(grammar, `1${'0'.repeat(highest.length - 1)}`, highest));
  return choice(...options);
}

function sameLength(grammar: Grammar, low: string, high: string): Piece {
  const length = low.length;
  if (length === 0) return NOTHING;
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(grammar, length, length);
  const [a = '', b = ''] = [low[0], high[0]];
  const [lowRest, highRest] = [low.slice(1), high.slice(1)];
  if (a === b) return sequence(text(a), sameLength(grammar, lowRest, highRest));
  const isWholeLow = /^0*$/.test(lowRest);
  const isWholeHigh = /^9*$/.test(highRest);
  const from = Number(a) + (isWholeLow ? 0 : 1);
  const to = Number(b) - (isWholeHigh ? 0 : 1);
  return choice(
    ...(isWholeLow ? [] : [sequence(text(a), sameLength(grammar, lowRest, '9'.repeat(length - 1)))]),
    sequence(digit(from, to), digits(grammar, length - 1, length - 1)),
    ...(isWholeHigh ? [] : [sequence(text(b), sameLength(grammar, '0'.repeat(length - 1), highRest))]),
  );
}

function digit(from: number, to: number): Piece {
  return oneOf(charactersOf('0123456789'.slice(from, Math.max(from, to + 1))));
}
