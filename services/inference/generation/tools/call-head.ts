/**
 * The beginning of a call as models write it, `{"name": "...", "arguments": {`, read while it comes. Pure. Knows no markers.
 */

export interface CallHead {
  readonly name: string;
  /** Where the arguments' brace is. */
  readonly argumentsAt: number;
}

const STRING = /"(?:[^"\\]|\\.)*"/y;
const HALF_STRING = /"(?:[^"\\]|\\.)*\\?$/y;
const SPACE = /\s*/y;

type Part = readonly string[] | RegExp;
const PARTS: readonly Part[] = [['{'], ['"name"'], [':'], STRING, [','], ['"arguments"', '"parameters"'], [':'], ['{']];

/** `more`: so far it is one. `other`: it is none, though it may still be a call with its properties in another order. */
export function readCallHead(text: string): CallHead | 'more' | 'other' {
  let at = 0;
  let name = '';
  for (const part of PARTS) {
    at += lengthAt(SPACE, text, at) ?? 0;
    if (at === text.length) return 'more';
    const length = part instanceof RegExp ? lengthAt(part, text, at) : wordLengthAt(part, text, at);
    if (length === undefined) return isBegun(part, text, at) ? 'more' : 'other';
    if (part === STRING) {
      const read = stringOf(text.slice(at, at + length));
      if (read === undefined) return 'other';
      name = read;
    }
    at += length;
  }
  return { name, argumentsAt: at - 1 };
}

function lengthAt(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length;
}

function wordLengthAt(words: readonly string[], text: string, at: number): number | undefined {
  return words.find((word) => text.startsWith(word, at))?.length;
}

function isBegun(part: Part, text: string, at: number): boolean {
  if (part instanceof RegExp) return lengthAt(HALF_STRING, text, at) !== undefined;
  return part.some((word) => word.startsWith(text.slice(at)));
}

function stringOf(json: string): string | undefined {
  try {
    return String(JSON.parse(json));
  } catch {
    return undefined;
  }
}
