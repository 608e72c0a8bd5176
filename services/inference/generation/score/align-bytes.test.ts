import { expect, it } from 'vitest';
import { alignBytes } from './align-bytes.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

it('is the identity where the tokenizer changes nothing', () => {
  expect(alignBytes('aé', bytes('aé'))).toEqual([0, 1, 2, 3]);
});

it('gives a space that was put in front no place', () => {
  expect(alignBytes('ab', bytes(' ab'))).toEqual([0, 0, 1, 2]);
  expect(alignBytes(' ab', bytes('  ab'))).toEqual([0, 0, 1, 2, 3]);
});

it('follows normalization and lower case character by character', () => {
  // Decomposed in the text (three bytes), composed in the tokens (two).
  expect(alignBytes('e\u0301x', bytes('\u00e9x'))).toEqual([0, 1, 3, 4]);
  expect(alignBytes('\u00e9x', bytes('e\u0301x'))).toEqual([0, 1, 2, 2, 3]);
  expect(alignBytes('Ab', bytes(' ab'))).toEqual([0, 0, 1, 2]);
  expect(alignBytes('ﬁx', bytes('fix'))).toEqual([0, 1, 3, 4]);
  // Hangul letters that make one syllable.
  expect(alignBytes('\u1112\u1161\u11ab!', bytes('\ud55c!'))).toEqual([0, 1, 2, 9, 10]);
});

it('says that it cannot tell', () => {
  expect(alignBytes('abc', bytes('a?c'))).toBeUndefined();
  expect(alignBytes('abc', bytes('ab'))).toBeUndefined();
  expect(alignBytes('ab', bytes('abc'))).toBeUndefined();
  expect(alignBytes('ab', Uint8Array.of(0xff, 0x61))).toBeUndefined();
});
