import { expect, it } from 'vitest';
import { characterScores, type ScoredToken, sumsOf, tokenScores, totalOf } from './scored-token.ts';

/** Tokens of these bytes, one after the other. */
function tokens(...parts: readonly (readonly [bytes: readonly number[], nats: number | null])[]): ScoredToken[] {
  let end = 0;
  return parts.map(([bytes, nats], id) => {
    const start = end;
    end += bytes.length;
    return { id, piece: `t${id}`, bytes: Uint8Array.from(bytes), start, end, nats, top: [] };
  });
}

const same = (index: number) => index;

it('spreads a token over its characters, and a character over its tokens', () => {
  // "ab", then the two bytes of é in a token each, then nothing, "c", and nothing again.
  const scored = tokens([[97], null], [[97, 98], 4], [[0xc3], 1], [[0xa9], 2], [[], 7], [[99], 2], [[], 1]);
  const { LN2 } = Math;
  expect(characterScores(scored, same)).toEqual([
    { character: 'a', start: 0, end: 1, nats: null, bits: null },
    { character: 'a', start: 1, end: 2, nats: 2, bits: 2 / LN2 },
    { character: 'b', start: 2, end: 3, nats: 2, bits: 2 / LN2 },
    { character: 'é', start: 3, end: 5, nats: 3, bits: 3 / LN2 },
    { character: 'c', start: 5, end: 6, nats: 10, bits: 10 / LN2 },
  ]);
  expect(tokenScores(scored.slice(1, 2), same, false)).toEqual([
    { token_id: 1, token: 't1', start: 1, end: 3, nats: 4, bits: 4 / LN2 },
  ]);
});

it('shows bytes that are no character', () => {
  const broken = tokens([[0xff, 0xe2, 0x82, 97], 4], [[0xef, 0xbf, 0xbd], 3], [[0xef, 97], 2]);
  expect(characterScores(broken, same).map(({ character, start, end, nats }) => [character, start, end, nats])).toEqual(
    [
      ['\ufffd', 0, 1, 1],
      ['\ufffd', 1, 2, 1],
      ['\ufffd', 2, 3, 1],
      ['a', 3, 4, 1],
      ['\ufffd', 4, 7, 3],
      ['\ufffd', 7, 8, 1],
      ['a', 8, 9, 1],
    ],
  );
});

it('sums what was scored, and texts by their tokens', () => {
  const one = sumsOf(tokens([[97], null], [[0xc3, 0xa9], 3], [[98], 1]));
  expect(one).toMatchObject({ loss: 2, perplexity: Math.exp(2), nats: 4, tokens_scored: 2, characters_scored: 2 });
  expect(one).toMatchObject({ bytes_scored: 3, bits_per_byte: 4 / Math.LN2 / 3, bits_per_character: 2 / Math.LN2 });
  const nothing = sumsOf(tokens([[97], null]));
  expect(nothing).toMatchObject({ loss: null, perplexity: null, nats: 0, bits_per_byte: null, tokens_scored: 0 });
  expect(totalOf([one, nothing, one, sumsOf(tokens([[98], 6]))])).toMatchObject({ loss: 14 / 5, tokens_scored: 5 });
});
