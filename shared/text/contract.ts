/**
 * What a string is in token ids, for every service. Implementations: tokenizer.ts, stream-decoder.ts, chat-template.ts.
 */

export interface Tokenizer {
  readonly vocabularySize: number;
  /** SentencePiece: text is encoded with a space in front, and `decode` takes one from the beginning. Absent: no. */
  readonly stripsLeadingSpace?: boolean;
  /**
   * Text to ids. Special tokens written in the text (`<|im_end|>`) are plain text unless `parseSpecial`.
   * `addBos` puts BOS in front when the model wants one. Lone surrogates become U+FFFD. Never throws on any string.
   */
  encode(text: string, options: { addBos: boolean; parseSpecial: boolean }): number[];
  /** Ids to text; special tokens are left out. Bytes that are no UTF-8 become U+FFFD. */
  decode(tokens: readonly number[]): string;
  /** The bytes one id stands for (a special token: none), for streaming and logprobs. */
  bytesOf(token: number): Uint8Array;
  /** The text of one id as it is in the vocabulary, for logprobs and listings. */
  pieceOf(token: number): string;
}
