/**
 * Regular expressions as grammars: of a whole text, and of a JSON string, within which an expression that is not anchored may match
 * anywhere. Knows no schema.
 */
import { ALL_CHARACTERS, type Characters, intersection } from './characters.ts';
import { choice, type Grammar, oneOf, type Piece, refusal, sequence } from './grammar.ts';
import { parseRegex, type Regex, RegexError } from './parse-regex.ts';

const LONGEST_PATTERN = 4096;

interface Alternative {
  readonly body: Regex;
}

type OneCharacter = (characters: Characters) => Piece;

/** A text that matches as a whole, whether the expression is anchored or not. AppError invalid_field. */
export function textOfPattern(grammar: Grammar, pattern: string): Piece {
  const one: OneCharacter = (characters) => oneOf(intersection(characters, ALL_CHARACTERS));
  return choice(...alternatives(pattern).map(({ body }) => pieceOf(grammar, body, one)));
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
    return { body };
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

function pieceOf(grammar: Grammar, regex: Regex, one: OneCharacter): Piece {
  switch (regex.type) {
    case 'characters':
      return one(regex.characters);
    case 'sequence':
      return sequence(...regex.parts.map((part) => pieceOf(grammar, part, one)));
    case 'choice':
      return choice(...regex.options.map((option) => pieceOf(grammar, option, one)));
    case 'repeat':
      return grammar.repeat(pieceOf(grammar, regex.body, one), regex.min, regex.max);
    default:
      throw new Error(`a ${regex.type} within a pattern`);
  }
}

function shown(pattern: string): string {
  const json = JSON.stringify(pattern);
  return json.length > 80 ? `${json.slice(0, 77)}..."` : json;
}
