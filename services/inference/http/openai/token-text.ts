/**
 * How a token is written in OpenAI's lists of log probabilities.
 */
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Its text; `bytes:\xe2\x80` when it is a part of a character; a special token as the vocabulary writes it. */
export function tokenText(tokenizer: Tokenizer, token: number): string {
  const bytes = tokenizer.bytesOf(token);
  if (bytes.length === 0) return tokenizer.pieceOf(token);
  try {
    return utf8.decode(bytes);
  } catch {
    return `bytes:${Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}
