/** Tokenizers of every kind that the kernel trains, read here: the ids of Hugging Face's tokenizers, which wrote them down. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StreamDecoder } from '@slipway/shared/text/stream-decoder.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

const ids = z.array(z.array(z.number()));
const { texts, cases } = z
  .object({
    texts: z.array(z.string()),
    cases: z.array(
      z.object({
        kind: z.string(),
        files: z.record(z.string(), z.string()),
        plain: ids,
        parsed: ids,
        decoded: z.array(z.string()),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/trained.json'), 'utf8')));

const plainText = { addBos: false, parseSpecial: false };
const parseSpecial = { addBos: false, parseSpecial: true };

function open(files: Readonly<Record<string, string>>) {
  const file = (name: string): unknown => JSON.parse(files[name] ?? 'null');
  return { file, tokenizer: loadTokenizer(file('tokenizer.json'), file('tokenizer_config.json')) };
}

test('there is one of every kind', () => {
  expect(cases.map(({ kind }) => kind)).toEqual(['bpe', 'sentencepiece-bpe', 'sentencepiece-unigram', 'character']);
});

describe.each(cases)('$kind', ({ files, plain, parsed, decoded }) => {
  const { tokenizer } = open(files);

  test('encodes to the same ids, special tokens as text and as tokens', () => {
    for (const [i, text] of texts.entries()) {
      expect(tokenizer.encode(text, plainText), JSON.stringify(text)).toEqual(plain[i]);
      expect(tokenizer.encode(text, parseSpecial), JSON.stringify(text)).toEqual(parsed[i]);
    }
  });

  test('decodes to the same texts, whole and piece by piece', () => {
    for (const [i, tokens] of parsed.entries()) {
      expect(tokenizer.decode(tokens)).toBe(decoded[i]);
      const stream = new StreamDecoder(tokenizer);
      expect(tokens.map((token) => stream.push(token).text).join('') + stream.end()).toBe(decoded[i]);
    }
  });
});

describe.each(cases.filter(({ kind }) => kind !== 'character'))('$kind', ({ kind, files }) => {
  const { file, tokenizer } = open(files);

  test('changes no text, but ▁ to a space where SentencePiece writes spaces so', () => {
    for (const text of texts) {
      const expected = kind === 'bpe' ? text : text.replaceAll('▁', ' ');
      expect(tokenizer.decode(tokenizer.encode(text, plainText))).toBe(expected);
    }
  });

  test('what ends an answer is one token', () => {
    const { eos_token_id } = z.object({ eos_token_id: z.array(z.number()) }).parse(file('generation_config.json'));
    const names = ['<|im_end|>', z.object({ eos_token: z.string() }).parse(file('tokenizer_config.json')).eos_token];
    expect(names.map((name) => tokenizer.encode(name, parseSpecial))).toEqual(eos_token_id.map((id) => [id]));
  });
});
