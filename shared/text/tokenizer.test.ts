import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { loadTokenizer } from './tokenizer.ts';

const ids = z.array(z.array(z.number()));
const Fixture = z.object({
  texts: z.array(z.string()),
  cases: z.array(
    z.object({ name: z.string(), tokenizer: z.looseObject({}), plain: ids, parsed: ids, decoded: z.array(z.string()) }),
  ),
});
const { texts, cases } = Fixture.parse(
  JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/tokenizers.json'), 'utf8')),
);

function fixture(name: string): Record<string, unknown> {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`no fixture ${name}`);
  return found.tokenizer;
}

const plainText = { addBos: false, parseSpecial: false };

describe.each(cases)('$name', ({ tokenizer: json, plain, parsed, decoded }) => {
  const tokenizer = loadTokenizer(json, {});

  test('encodes as Hugging Face’s tokenizers does', () => {
    for (const [i, text] of texts.entries()) {
      expect(tokenizer.encode(text, plainText), JSON.stringify(text)).toEqual(plain[i]);
      expect(tokenizer.encode(text, { addBos: false, parseSpecial: true }), JSON.stringify(text)).toEqual(parsed[i]);
    }
  });

  test('decodes as Hugging Face’s tokenizers does', () => {
    for (const [i, tokens] of parsed.entries())
      expect(tokenizer.decode(tokens), JSON.stringify(tokens)).toBe(decoded[i]);
  });
});

describe('special tokens', () => {
  const tokenizer = loadTokenizer(fixture('gpt2'), { bos_token: { content: '<s>' }, add_bos_token: true });

  test('in a text are text unless asked for', () => {
    expect(tokenizer.encode('<s>', { addBos: false, parseSpecial: true })).toEqual([0]);
    const asText = tokenizer.encode('<s>', plainText);
    expect(asText).not.toContain(0);
    expect(tokenizer.decode(asText)).toBe('<s>');
  });

  test('in a text are text even where a Unigram model scores them best', () => {
    const json = fixture('unigram');
    const model = z.looseObject({ vocab: z.array(z.tuple([z.string(), z.number()])) }).parse(json.model);
    const vocab = model.vocab.map(([piece, score]) => [piece, piece === '<s>' ? 0 : score]);
    const unigram = loadTokenizer({ ...json, model: { ...model, vocab } }, {});
    expect(unigram.pieceOf(1)).toBe('<s>');
    expect(unigram.encode('<s>', { addBos: false, parseSpecial: true })).toEqual([1]);
    const asText = unigram.encode('<s>', plainText);
    expect(asText).not.toContain(1);
    expect(unigram.decode(asText)).toBe('<s>');
  });

  test('have a name but no bytes', () => {
    expect(tokenizer.pieceOf(0)).toBe('<s>');
    expect(tokenizer.bytesOf(0)).toHaveLength(0);
    expect(tokenizer.decode([0, ...tokenizer.encode('x', plainText), 1])).toBe('x');
  });

  test('BOS comes in front when the model wants it and the caller too', () => {
    expect(tokenizer.encode('', { addBos: true, parseSpecial: false })).toEqual([0]);
    expect(
      loadTokenizer(fixture('gpt2'), { bos_token: '<s>' }).encode('', { addBos: true, parseSpecial: false }),
    ).toEqual([]);
    const post_processor = {
      type: 'Sequence',
      processors: [
        { type: 'ByteLevel' },
        {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
        },
      ],
    };
    const llama3 = loadTokenizer({ ...fixture('gpt2'), post_processor }, {});
    expect(llama3.encode('', { addBos: true, parseSpecial: false })).toEqual([0]);
  });
});

describe('any string can be encoded', () => {
  const tokenizer = loadTokenizer(fixture('llama3'), {});

  test('lone surrogates become U+FFFD', () => {
    const ids = tokenizer.encode('a\ud800b\udc00', plainText);
    expect(tokenizer.decode(ids)).toBe('a\ufffdb\ufffd');
  });

  test('a byte-order mark is kept', () => {
    expect(tokenizer.decode(tokenizer.encode('\ufeffa', plainText))).toBe('\ufeffa');
  });

  test('ids outside the vocabulary are nothing', () => {
    expect(tokenizer.decode([1e6, -1])).toBe('');
    expect(tokenizer.pieceOf(1e6)).toBe('');
  });

  test('names that every object inherits are no pieces', () => {
    const spm = loadTokenizer(fixture('sentencepiece'), {});
    expect(spm.decode(spm.encode('constructor __proto__ toString', plainText))).toBe('constructor __proto__ toString');
  });

  test.each(
    cases.filter(({ name }) =>
      ['llama3', 'sentencepiece', 'unigram', 'unigram without bytes, whole text'].includes(name),
    ),
  )('a megabyte takes seconds at most: $name', ({ name, tokenizer: json }) => {
    const one = loadTokenizer(json, {});
    for (const text of ['a', ' ', 'the little dog ', '😀']) {
      const long = text.repeat(1_000_000 / text.length);
      const start = performance.now();
      const ids = one.encode(long, plainText);
      expect(performance.now() - start, JSON.stringify(text)).toBeLessThan(10_000);
      if (!name.includes('without bytes')) expect(one.decode(ids) === long, JSON.stringify(text)).toBe(true);
    }
  });
});

describe('what is not known is refused by name', () => {
  const gpt2 = fixture('gpt2');
  const model = z.looseObject({ vocab: z.record(z.string(), z.number()) }).parse(gpt2.model);
  test.each<[string, Record<string, unknown>, string, RegExp]>([
    ['another model', { model: { ...model, type: 'WordPiece' } }, 'unsupported_source', /WordPiece/],
    ['another pre-tokenizer', { pre_tokenizer: { type: 'BertPreTokenizer' } }, 'unsupported_source', /pre_tokenizer/],
    ['another normalizer', { normalizer: { type: 'BertNormalizer' } }, 'unsupported_source', /normalizer/],
    ['another decoder', { decoder: { type: 'WordPiece' } }, 'unsupported_source', /decoder/],
    [
      'a pattern with another meaning',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: '\\w+' }, behavior: 'Isolated', invert: false } },
      'unsupported_source',
      /\\\\w/,
    ],
    [
      'a possessive pattern',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: 'a++' }, behavior: 'Isolated', invert: false } },
      'unsupported_source',
      /a\+\+/,
    ],
    ['a vocabulary of names', { model: { ...model, vocab: { a: 'b' } } }, 'invalid_source', /"a"/],
    ['an id out of bounds', { model: { ...model, vocab: { a: 2 ** 40 } } }, 'invalid_source', /"a"/],
    ['merges of nothing', { model: { ...model, merges: ['nothing there'] } }, 'invalid_source', /merges\[0\]/],
    [
      'a list without scores',
      { pre_tokenizer: null, model: { type: 'Unigram', unk_id: 0, vocab: [['a']] } },
      'invalid_source',
      /vocab\[0\]/,
    ],
    [
      'nothing for the unknown',
      { pre_tokenizer: null, model: { type: 'Unigram', vocab: [['a', -1]] } },
      'invalid_source',
      /unk_id/,
    ],
    [
      'a Unigram model of bytes',
      { model: { type: 'Unigram', unk_id: 0, vocab: [['a', -1]] } },
      'unsupported_source',
      /bytes/,
    ],
    [
      'a charsmap that is cut short',
      { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAQAAA==' } },
      'invalid_source',
      /precompiled_charsmap/,
    ],
    ['no model', { model: undefined }, 'invalid_source', /model/],
  ])('%s', (_, change, code, message) => {
    expect(() => loadTokenizer({ ...gpt2, ...change }, {})).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});
