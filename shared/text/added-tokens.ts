/**
 * The `added_tokens` of a tokenizer.json: tokens that are found in the text as they are written, before anything else is done to
 * it. The longest at the leftmost place wins. Special ones are found only when asked for.
 */
import { z } from 'zod';

export const AddedToken = z.object({
  id: z.number().int().nonnegative().max(4_000_000),
  content: z.string(),
  special: z.boolean().default(false),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(false),
});
export type AddedToken = z.infer<typeof AddedToken>;

/** A part of a text: a token that was found, or text. */
export type Section = { readonly id: number } | { readonly text: string };

/** Cuts a text at the tokens; texts between them are never empty. */
export type SectionSplitter = (text: string) => Section[];

export function sectionSplitter(tokens: readonly AddedToken[]): SectionSplitter {
  const wanted = tokens.filter((token) => token.content !== '');
  if (wanted.length === 0) return (text) => (text === '' ? [] : [{ text }]);
  const byContent = new Map(wanted.map((token) => [token.content, token]));
  // Alternatives are tried in order, so the longest first makes the longest win.
  const contents = [...byContent.keys()].toSorted((a, b) => b.length - a.length);
  const regex = new RegExp(contents.map((content) => RegExp.escape(content)).join('|'), 'gu');
  return (text) => {
    const sections: Section[] = [];
    let end = 0;
    for (const { 0: content, index } of text.matchAll(regex)) {
      const token = byContent.get(content);
      if (!token || index < end || (token.single_word && insideWord(text, index, content.length))) continue;
      const before = text.slice(end, index);
      const left = token.lstrip ? before.replace(/\p{White_Space}+$/u, '') : before;
      if (left !== '') sections.push({ text: left });
      sections.push({ id: token.id });
      end = index + content.length;
      if (token.rstrip) end += /^\p{White_Space}*/u.exec(text.slice(end))?.[0].length ?? 0;
    }
    if (end < text.length) sections.push({ text: text.slice(end) });
    return sections;
  };
}

function insideWord(text: string, index: number, length: number): boolean {
  return (
    /[\p{L}\p{N}_]$/u.test(text.slice(Math.max(0, index - 2), index)) ||
    /^[\p{L}\p{N}_]/u.test(text.slice(index + length, index + length + 2))
  );
}
