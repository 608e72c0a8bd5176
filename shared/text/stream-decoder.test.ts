import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Tokenizer } from './contract.ts';
import { StreamDecoder } from './stream-decoder.ts';
import { loadTokenizer } from './tokenizer.ts';

const { cases } = z
  .object({ cases: z.array(z.object({ name: z.string(), tokenizer: z.unknown() })) })
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/tokenizers.json'), 'utf8')));
const tokenizers = cases.map(({ name, tokenizer }) => ({ name, tokenizer: loadTokenizer(tokenizer, {}) }));

function find(name: string): Tokenizer {
  const found = tokenizers.find((one) => one.name === name);
  if (!found) throw new Error(`no fixture ${name}`);
  return found.tokenizer;
}
const gpt2 = find('gpt2');
const sentencePiece = find('sentencepiece');
const plain = { addBos: false, parseSpecial: false };

/** One token per byte, so that every border is a token border. */
function bytewise(text: string): number[] {
  const letters = new Map(
    Array.from({ length: gpt2.vocabularySize }, (_, id) => [Buffer.from(gpt2.bytesOf(id)).toString('hex'), id]),
  );
  return [...Buffer.from(text)].map((byte) => letters.get(byte.toString(16).padStart(2, '0')) ?? -1);
}

function run(decoder: StreamDecoder, tokens: readonly number[]): { deltas: string[]; stopped: boolean } {
  const deltas: string[] = [];
  let stopped = false;
  for (const token of tokens) {
    const delta = decoder.push(token);
    deltas.push(delta.text);
    stopped ||= delta.stopped;
  }
  deltas.push(decoder.end());
  return { deltas, stopped };
}

function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe.each(tokenizers)('$name', ({ tokenizer }) => {
  test('deltas of any ids joined are what decode gives, and none holds half a character', () => {
    const random = generator(5);
    for (let round = 0; round < 300; round++) {
      const tokens = Array.from({ length: random(30) }, () => random(tokenizer.vocabularySize));
      const { deltas } = run(new StreamDecoder(tokenizer), tokens);
      expect(deltas.join(''), JSON.stringify(tokens)).toBe(tokenizer.decode(tokens));
      for (const delta of deltas) expect(delta.isWellFormed()).toBe(true);
    }
  });
});

test('a character comes when it is whole', () => {
  const decoder = new StreamDecoder(gpt2);
  const emitted = bytewise('a😀é').map((token) => decoder.push(token).text);
  expect(emitted).toEqual(['a', '', '', '', '😀', '', 'é']);
  expect(decoder.end()).toBe('');
});

test('half a character at the end is said to be one', () => {
  const decoder = new StreamDecoder(gpt2);
  for (const token of bytewise('😀').slice(0, 3)) expect(decoder.push(token).text).toBe('');
  expect(decoder.end()).toBe('\ufffd');
});

describe('stop strings', () => {
  test('are found across token borders and not emitted', () => {
    const { deltas, stopped } = run(new StreamDecoder(gpt2, ['###']), bytewise('one ## two ### three'));
    expect(deltas.join('')).toBe('one ## two ');
    expect(stopped).toBe(true);
  });

  test('hold back only what may still become one', () => {
    const decoder = new StreamDecoder(gpt2, ['END']);
    const emitted = bytewise('aENEND').map((token) => decoder.push(token));
    expect(emitted.map(({ text }) => text)).toEqual(['a', '', '', 'EN', '', '']);
    expect(emitted.map(({ stopped }) => stopped)).toEqual([false, false, false, false, false, true]);
    expect(decoder.push(bytewise('x')[0] ?? 0)).toEqual({ text: '', stopped: true });
    expect(decoder.end()).toBe('');
  });

  test('what was held back comes at the end when it became none', () => {
    const { deltas, stopped } = run(new StreamDecoder(gpt2, ['END']), bytewise('aEN'));
    expect(deltas.at(-1)).toBe('EN');
    expect(stopped).toBe(false);
  });

  test('give the same text wherever the borders fall', () => {
    const random = generator(9);
    const word = (longest: number) => Array.from({ length: 1 + random(longest) }, () => 'abc'[random(3)]).join('');
    // Every string of up to three of these letters is a token.
    const pieces = ['', 'a', 'b', 'c'].flatMap((first) =>
      ['', 'a', 'b', 'c'].flatMap((second) => ['a', 'b', 'c'].map((third) => first + second + third)),
    );
    const vocab = Object.fromEntries([...new Set(pieces)].map((piece, id) => [piece, id]));
    const tokenizer = loadTokenizer({ model: { type: 'BPE', vocab, merges: [] } }, {});
    for (let round = 0; round < 1000; round++) {
      const text = word(30);
      const stop = Array.from({ length: 1 + random(3) }, () => word(4));
      const cut: number[] = [];
      for (let at = 0, length = 0; at < text.length; at += length) {
        length = 1 + random(3);
        cut.push(vocab[text.slice(at, at + length)] ?? -1);
      }
      const whole = run(new StreamDecoder(tokenizer, stop), cut);
      const letters = run(
        new StreamDecoder(tokenizer, stop),
        Array.from(text, (letter) => vocab[letter] ?? -1),
      );
      expect(whole.deltas.join(''), JSON.stringify({ text, stop })).toBe(letters.deltas.join(''));
      expect(whole.stopped).toBe(stop.some((one) => text.includes(one)));
      for (const one of stop) expect(whole.deltas.join('')).not.toContain(one);
    }
  });

  test('may be longer than all the text, or empty, or of many bytes', () => {
    expect(run(new StreamDecoder(gpt2, ['x'.repeat(100), '']), bytewise('xx')).deltas.join('')).toBe('xx');
    expect(run(new StreamDecoder(gpt2, ['😀']), bytewise('a😀b')).deltas.join('')).toBe('a');
  });
});

describe('SentencePiece’s leading space', () => {
  const tokens = sentencePiece.encode('the little', plain);

  test('is taken from the beginning, behind special tokens too', () => {
    expect(run(new StreamDecoder(sentencePiece), tokens).deltas.join('')).toBe('the little');
    expect(run(new StreamDecoder(sentencePiece), [0, ...tokens]).deltas.join('')).toBe('the little');
  });

  test('stays when the text goes on after another', () => {
    expect(run(new StreamDecoder(sentencePiece, [], { continuation: true }), tokens).deltas.join('')).toBe(
      ' the little',
    );
  });
});
