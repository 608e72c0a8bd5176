/**
 * The smallest whole tokenizer: one id per byte, then BOS and EOS. Any text goes in and comes out again; arbitrary ids make broken
 * UTF-8, which is what a stream has to survive.
 */
import type { Tokenizer } from '@slipway/shared/text/contract.ts';

export const BYTE_BOS = 256;
export const BYTE_EOS = 257;
export const BYTE_VOCABULARY = 258;

export const byteTokenizer: Tokenizer = {
  vocabularySize: BYTE_VOCABULARY,
  encode: (text, { addBos }) => [...(addBos ? [BYTE_BOS] : []), ...new TextEncoder().encode(text)],
  decode: (tokens) => new TextDecoder().decode(Uint8Array.from(tokens.filter((token) => token < BYTE_BOS))),
  bytesOf: (token) => (token < BYTE_BOS ? Uint8Array.of(token) : new Uint8Array()),
  pieceOf: (token) => (token < BYTE_BOS ? `<0x${token.toString(16).padStart(2, '0')}>` : `<${token}>`),
};
