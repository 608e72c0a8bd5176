/**
 * An example asked as somebody else would type it: small letters, no full stop, letters that changed places. Only what is asked is changed,
 * never what is learnt. In no language's words: scripts without small letters keep theirs. Pure.
 */
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import type { Completion, Conversation } from '../canonical.ts';

export type Augmentation = NonNullable<DataRecipe['augment']>;

/** Markup, code, links, paths, tables: there a letter that moves is no slip of the pen. */
const IS_NO_PROSE = /[`{}<>=\\|_\t]|:\/\/|;$|^ {2}/m;
/** A word of small letters with two inner ones to change places; names, numbers and abbreviations are left alone. */
const WORD = /(?<![^\s(«"“])\p{Ll}{4,}(?![^\s.,;:!?)»"”])/gu;
const LAST_MARK = /(?<=[\p{L}\p{N}])[.?!]$/u;

/** `random` gives numbers from 0 up to, and without, 1: the same ones give the same example. */
export function augmentExample<Asked extends Conversation | Completion>(
  example: Asked,
  { lowercase, unpunctuated, typos }: Augmentation,
  random: () => number,
): Asked {
  // One person writes all of a conversation.
  const isLower = random() < lowercase;
  const isUnpunctuated = random() < unpunctuated;
  const change = (text: string) => {
    if (IS_NO_PROSE.test(text)) return text;
    const typed = text.replaceAll(WORD, (word) => (random() < typos ? transpose(word, random()) : word));
    const ended = isUnpunctuated ? typed.replace(LAST_MARK, '') : typed;
    return isLower ? ended.toLowerCase() : ended;
  };
  if ('prompt' in example) return { ...example, prompt: changeBeforeLastWord(example.prompt, change) };
  return {
    ...example,
    messages: example.messages.map((message) =>
      message.role === 'user' ? { ...message, content: change(message.content) } : message,
    ),
  };
}

/** How a prompt ends decides where the tokens of its completion begin. */
function changeBeforeLastWord(prompt: string, change: (text: string) => string): string {
  const [last = ''] = /(^|\s)\S*\s*$/.exec(prompt) ?? [];
  return change(prompt.slice(0, prompt.length - last.length)) + last;
}

/** Two neighbours that are neither first nor last. */
function transpose(word: string, where: number): string {
  const letters = Array.from(word);
  const at = 1 + Math.floor(where * (letters.length - 3));
  return [...letters.slice(0, at), letters[at + 1], letters[at], ...letters.slice(at + 2)].join('');
}
