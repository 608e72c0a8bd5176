/**
 * Characters of the data that a tokenizer has no token for: it writes its unknown token for them, or nothing, and says no word. Here they
 * are found and counted, with where each was first seen. Pure.
 */
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { z } from 'zod';
import type { Example } from './canonical.ts';

/** No text has it: what a tokenizer makes of it is what it makes of all that it does not know. */
const NOBODYS_CHARACTER = '\u{10fffd}';
const SHOWN = 10;

/** Characters of a text and the unknown ones among them, as often as they are in it; null: the tokenizer writes any, byte by byte. */
export type FindUnknown = ((text: string) => { readonly characters: number; readonly unknown: string[] }) | null;

export function unknownFinder(tokenizer: Tokenizer): FindUnknown {
  const encode = (text: string) => tokenizer.encode(text, { addBos: false, parseSpecial: false });
  const nobodys = encode(NOBODYS_CHARACTER);
  if (tokenizer.decode(nobodys).includes(NOBODYS_CHARACTER)) return null;
  // Or it leaves out what it does not know, as it may leave out white space that it does.
  const leavesOut = nobodys.every((id) => tokenizer.bytesOf(id).length > 0 && tokenizer.decode([id]).trim() === '');
  const isUnknown = (character: string) =>
    encode(character).join() === nobodys.join() && !(leavesOut && character.trim() === '');
  const verdicts = new Map<string, boolean>();
  return (text) => {
    const unknown: string[] = [];
    let characters = 0;
    for (const character of text) {
      const verdict = verdicts.get(character) ?? isUnknown(character);
      verdicts.set(character, verdict);
      if (verdict) unknown.push(character);
      characters++;
    }
    return { characters, unknown };
  };
}

/** What people wrote of an example, without what a template adds. */
export function textsOf(example: Example): string[] {
  if ('text' in example) return [example.text];
  if ('prompt' in example) return [example.prompt, example.completion];
  return example.messages.flatMap(({ content, reasoning_content: reasoning }) => [content ?? '', reasoning ?? '']);
}

export const UnknownCharacters = z.object({
  count: z.number().int(),
  of: z.number().int().describe('characters that were looked at'),
  distinct: z.number().int(),
  most: z
    .array(z.object({ character: z.string(), count: z.number().int(), file: z.string(), line: z.number().int() }))
    .describe('the most frequent, and where each was first seen'),
});
export type UnknownCharacters = z.infer<typeof UnknownCharacters>;

interface Place {
  readonly file: string;
  readonly line: number;
}

export class UnknownTally {
  readonly #found = new Map<string, { count: number; readonly place: Place }>();
  #of = 0;

  /** `count`: of this character, first seen at `place`. */
  add(character: string, count: number, place: Place): void {
    const known = this.#found.get(character);
    if (known) known.count += count;
    else this.#found.set(character, { count, place });
  }

  looked(characters: number): void {
    this.#of += characters;
  }

  /** Null when there are none. */
  summary(): UnknownCharacters | null {
    if (this.#found.size === 0) return null;
    const all = [...this.#found].toSorted(([, a], [, b]) => b.count - a.count);
    return {
      count: all.reduce((sum, [, { count }]) => sum + count, 0),
      of: this.#of,
      distinct: all.length,
      most: all.slice(0, SHOWN).map(
        ([
          character,
          {
            count,
            place: { file, line },
          },
        ]) => ({ character, count, file, line }),
      ),
    };
  }
}

const TOLD = 4;

/** One sentence for people: how many, which, and where to look. */
export function describeUnknown({ count, of, distinct, most }: UnknownCharacters): string {
  const told = most.slice(0, TOLD).map(({ character, count, file, line }) => {
    const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
    const shown = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character) ? `${character} (${code})` : code;
    return `${shown} ${count} times, first at ${file}:${line}`;
  });
  const share = ((count / of) * 100).toPrecision(2);
  return `the tokenizer does not know ${distinct} of the characters that are used, ${share} % of the text: ${told.join('; ')}${distinct > TOLD ? '; ...' : ''}`;
}
