import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { describe, expect, it } from 'vitest';
import { preparePrompt } from './prompt.ts';

let longestEncoded = 0;
/** One id per word with its leading space, as byte-level vocabularies split; ids are the word's length. */
const words: Tokenizer = {
  vocabularySize: 1000,
  encode(text) {
    longestEncoded = Math.max(longestEncoded, text.length);
    return (text.match(/\s?\S+|\s/g) ?? []).map((word) => word.length);
  },
  decode: () => '',
  bytesOf: () => new Uint8Array(),
  pieceOf: () => '',
};
const model = { tokenizer: words, vocabularySize: 1000, bosTokenId: 1, eosTokenIds: [2], addBos: false };

describe('preparePrompt', () => {
  it('encodes a text and leaves a short one whole', () => {
    expect(preparePrompt('a bb ccc', model, 10)).toEqual({ tokens: [1, 3, 4], truncated: false });
  });

  it('cuts from the left and says so', () => {
    expect(preparePrompt('a bb ccc', model, 2)).toEqual({ tokens: [3, 4], truncated: true });
    expect(preparePrompt('a bb ccc', model, 3)).toEqual({ tokens: [1, 3, 4], truncated: false });
    expect(preparePrompt([5, 6, 7], model, 2)).toEqual({ tokens: [6, 7], truncated: true });
  });

  it('puts BOS in front of texts when the model wants one, also after a cut, never of token ids', () => {
    const wanting = { ...model, addBos: true };
    expect(preparePrompt('a bb', wanting, 10).tokens).toEqual([1, 1, 3]);
    expect(preparePrompt('a bb ccc dddd', wanting, 3)).toEqual({ tokens: [1, 4, 5], truncated: true });
    expect(preparePrompt([5, 6], wanting, 10).tokens).toEqual([5, 6]);
  });

  it('begins an empty prompt with BOS, or with EOS, or refuses it', () => {
    expect(preparePrompt('', model, 10)).toEqual({ tokens: [1], truncated: false });
    expect(preparePrompt([], { ...model, bosTokenId: null }, 10)).toEqual({ tokens: [2], truncated: false });
    expect(() => preparePrompt('', { ...model, bosTokenId: null, eosTokenIds: [] }, 10)).toThrow(/prompt is empty/);
  });

  it('names the first token id that the vocabulary has not', () => {
    expect(() => preparePrompt([1, 999, 1000], model, 10)).toThrow(
      'prompt[2] must be a token id from 0 to 999, but is 1000',
    );
  });

  it('gives of a megabyte what encoding all of it would give, and encodes only its end', () => {
    const text = Array.from({ length: 200_000 }, (_, index) => 'x'.repeat((index % 7) + 1)).join(' ');
    const whole = words.encode(text, { addBos: false, parseSpecial: false });
    longestEncoded = 0;
    expect(preparePrompt(text, model, 2048)).toEqual({ tokens: whole.slice(-2048), truncated: true });
    expect(longestEncoded).toBeLessThan(40_000);
  });

  it('survives a megabyte without a single space, and cuts no surrogate pair', () => {
    expect(preparePrompt('x'.repeat(1_000_000), model, 2048).tokens).toHaveLength(1);
    expect(preparePrompt('😀'.repeat(500_000), model, 2048).tokens).toHaveLength(1);
  });
});
