import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { expect, test } from 'vitest';
import { unknownFinder } from './unknown-characters.ts';

/** A piece for each letter, and what is asked for besides. */
function bpe(model: Readonly<Record<string, unknown>>, more: readonly string[] = []) {
  const vocab = Object.fromEntries(['<unk>', '\u2581', 'a', 'b', ...more].map((piece, id) => [piece, id]));
  const json = {
    pre_tokenizer: { type: 'Metaspace', replacement: '\u2581', prepend_scheme: 'always', split: true },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: { type: 'BPE', vocab, merges: [], ...model },
  };
  return unknownFinder(loadTokenizer(json, {}));
}

test('what becomes the unknown token is found, each time', () => {
  expect(bpe({ unk_token: '<unk>', fuse_unk: true })?.('a b\u4f60\u4f60 \u{1f600}')).toEqual({
    characters: 7,
    unknown: ['\u4f60', '\u4f60', '\u{1f600}'],
  });
});

test('so is what becomes nothing at all', () => {
  expect(bpe({})?.('ab c')).toEqual({ characters: 4, unknown: ['c'] });
});

test('a tokenizer that falls back to bytes knows everything', () => {
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  expect(bpe({ byte_fallback: true }, bytes)).toBeNull();
});
