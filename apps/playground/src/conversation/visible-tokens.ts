/**
 * Which of an answer's tokens its text shows: those of a stop string and of the end are tokens, but not text, and a tokenizer may begin
 * with a space that the text has not.
 */
import type { Token } from '../api/token.ts';

export interface VisibleToken {
  readonly token: Token;
  readonly text: string;
}

/** Tokens that are shown whole keep their identity, so that a long answer is not drawn anew with each token. */
export function visibleTokens(text: string, tokens: readonly Token[]): VisibleToken[] {
  const visible: VisibleToken[] = [];
  let at = 0;
  for (const token of tokens) {
    if (at >= text.length) break;
    const own = at === 0 && !text.startsWith(token.text) ? token.text.trimStart() : token.text;
    const shown = own.slice(0, text.length - at);
    if (shown !== '') visible.push({ token, text: shown });
    at += shown.length;
  }
  return visible;
}
