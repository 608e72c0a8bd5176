/**
 * Regular expressions as grammars: of a whole text, and of a JSON string, within which an expression that is not anchored may match
 * anywhere. Knows no schema.
 */
import { ALL_CHARACTERS, type Characters, intersection } from './characters.ts';
import { choice, type Grammar, oneOf, type Piece, refusal, sequence, text } from './grammar.ts';
import { limitedString, STRING_CHARACTERS, stringCharacter } from './json-text.ts';
import { parseRegex, type Regex, RegexError } from './parse-regex.ts';

const LONGEST_PATTERN = 4096;

/** Characters; `max` may be Infinity. */
export interface Lengths {
  readonly min: number;
  readonly max: number;
}

interface Alternative {
  readonly body: Regex;
  readonly isStart: boolean;
  readonly isEnd: boolean;
}

type OneCharacter = (characters: Characters) => Piece;

function inText(characters: Characters): Piece {
  return oneOf(intersection(characters, ALL_CHARACTERS));
}

function inString(characters: Characters): Piece {
  return stringCharacter(intersection(characters, STRING_CHARACTERS));
}

/** A text that matches as a whole, whether the expression is anchored or not. AppError invalid_field. */
export function textOfPattern(grammar: Grammar, pattern: string): Piece {
  return choice(...alternatives(pattern).map(({ body }) => pieceOf(grammar, body, inText)));
}

/** A JSON string in which the expression matches. AppError invalid_field. */
export function stringOfPattern(grammar: Grammar, pattern: string, lengths: Lengths): Piece {
  return choice(...alternatives(pattern).map((alternative) => stringOf(grammar, alternative, pattern, lengths)));
}

function stringOf(grammar: Grammar, { body, isStart, isEnd }: Alternative, pattern: string, wanted: Lengths): Piece {
  const run = isStart && isEnd ? runOf(body) : undefined;
  if (run) {
    const limits = { min: Math.max(run.min, wanted.min), max: Math.min(run.max, wanted.max), not: [] };
    return limitedString(grammar, limits, intersection(run.characters, STRING_CHARACTERS));
  }
  const { min, max } = lengthsOf(body);
  if (min < wanted.min || (isStart && isEnd ? max : Infinity) > wanted.max) {
    throw refusal(
      `the pattern ${shown(pattern)} is not as short or as long as minLength and maxLength ask; say the lengths in the pattern`,
    );
  }
  const anything = grammar.shared('any characters', () => grammar.repeat(inString(STRING_CHARACTERS), 0, Infinity));
  const parts = [...(isStart ? [] : [anything]), pieceOf(grammar, body, inString), ...(isEnd ? [] : [anything])];
  return sequence(text('"'), ...parts, text('"'));
}

/** What stands between the outermost bars, with its anchors taken off. */
function alternatives(pattern: string): Alternative[] {
  if (pattern.length > LONGEST_PATTERN) {
    throw refusal(`a pattern has ${pattern.length} characters, but may have ${LONGEST_PATTERN}`);
  }
  const regex = parse(pattern);
  return (regex.type === 'choice' ? regex.options : [regex]).map((option) => {
    const parts = option.type === 'sequence' ? option.parts : [option];
    const begin = parts.findIndex(({ type }) => type !== 'start');
    const end = parts.findLastIndex(({ type }) => type !== 'end') + 1;
    const inner = begin < 0 ? [] : parts.slice(begin, Math.max(begin, end));
    if (inner.some(hasAnchor)) {
      throw refusal(`the pattern ${shown(pattern)} has a ^ or $ that is not at its beginning or end`);
    }
    const body: Regex = { type: 'sequence', parts: inner };
    return { body, isStart: parts[0]?.type === 'start', isEnd: parts.at(-1)?.type === 'end' };
  });
}

function parse(pattern: string): Regex {
  try {
    return parseRegex(pattern);
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    throw refusal(`the pattern ${shown(pattern)} has ${error.message}`);
  }
}

function hasAnchor(regex: Regex): boolean {
  if (regex.type === 'sequence') return regex.parts.some(hasAnchor);
  if (regex.type === 'choice') return regex.options.some(hasAnchor);
  if (regex.type === 'repeat') return hasAnchor(regex.body);
  return regex.type !== 'characters';
}

/** When it is characters of one set, so and so many. */
function runOf(regex: Regex): (Lengths & { readonly characters: Characters }) | undefined {
  if (regex.type === 'sequence' && regex.parts.length === 1 && regex.parts[0]) return runOf(regex.parts[0]);
  if (regex.type === 'characters') return { characters: regex.characters, min: 1, max: 1 };
  if (regex.type !== 'repeat' || regex.body.type !== 'characters') return undefined;
  return { characters: regex.body.characters, min: regex.min, max: regex.max };
}

function lengthsOf(regex: Regex): Lengths {
  if (regex.type === 'characters') return { min: 1, max: 1 };
  if (regex.type === 'repeat') {
    const { min, max } = lengthsOf(regex.body);
    return { min: min * regex.min, max: max === 0 ? 0 : max * regex.max };
  }
  if (regex.type === 'choice') {
    const all = regex.options.map(lengthsOf);
    return { min: Math.min(...all.map(({ min }) => min)), max: Math.max(...all.map(({ max }) => max)) };
  }
  const parts = regex.type === 'sequence' ? regex.parts.map(lengthsOf) : [];
  return { min: parts.reduce((sum, { min }) => sum + min, 0), max: parts.reduce((sum, { max }) => sum + max, 0) };
}

function pieceOf(grammar: Grammar, regex: Regex, one: OneCharacter): Piece {
  switch (regex.type) {
    case 'characters':
      return one(regex.characters);
    case 'sequence':
      return sequence(...regex.parts.map((part) => pieceOf(grammar, part, one)));
    case 'choice':
      return choice(...regex.options.map((option) => pieceOf(grammar, option, one)));
    case 'repeat':
      // The same body in the same kind of text is the same piece.
      return grammar.repeat(
        pieceOf(grammar, regex.body, one),
        regex.min,
        regex.max,
        `${one.name} ${JSON.stringify(regex.body)}`,
      );
    default:
      throw new Error(`a ${regex.type} within a pattern`);
  }
}

function shown(pattern: string): string {
  const json = JSON.stringify(pattern);
  return json.length > 80 ? `${json.slice(0, 77)}..."` : json;
}
