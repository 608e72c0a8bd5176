import { describe, expect, it } from 'vitest';
import { FIRST_HIT_RATE, guessLength, guessTokens, updateHitRate } from './draft.ts';

describe('guessTokens', () => {
  it.each([
    ['what followed the same two tokens', [1, 2, 3, 4, 5, 1, 2], 3, [3, 4, 5]],
    ['the longest match before the latest', [1, 2, 3, 70, 9, 3, 80, 8, 2, 3, 90, 1, 2, 3], 1, [70]],
    ['the latest of equally long ones', [1, 2, 70, 1, 2, 80, 1, 2], 1, [80]],
    ['no match longer than four', [9, 1, 2, 3, 4, 70, 8, 1, 2, 3, 4, 80, 9, 1, 2, 3, 4], 1, [80]],
    ['what repeats as going on', [7, 5, 6, 5, 6], 5, [5, 6, 5, 6, 5]],
    ['one token again and again', [3, 8, 8, 8], 3, [8, 8, 8]],
    ['a match at the very beginning', [1, 2, 1, 2], 2, [1, 2]],
    ['nothing after one token seen before', [1, 2, 3, 1], 2, []],
    ['nothing without a past', [1], 2, []],
    ['nothing of nothing', [], 2, []],
  ])('takes %s', (_, tokens, count, expected) => {
    expect(guessTokens(tokens, count)).toEqual(expected);
  });

  it('does not look further back than its window', () => {
    const fresh = (count: number) => Array.from({ length: count }, (_, i) => 100 + i);
    expect(guessTokens([1, 2, 3, ...fresh(8000), 1, 2], 1)).toEqual([3]);
    expect(guessTokens([1, 2, 3, ...fresh(9000), 1, 2], 1)).toEqual([]);
  });
});

describe('guessLength', () => {
  it('grows with the hit rate, and is nothing when rows cost more than they bring', () => {
    const lengths = Array.from({ length: 101 }, (_, percent) => guessLength(percent / 100));
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    expect(lengths[0]).toBe(0);
    expect(lengths[15]).toBe(0);
    expect(lengths[40]).toBe(1);
    expect(lengths[100]).toBe(8);
  });

  it('begins with the first right guess, soon uses all, and pauses after some wrong ones', () => {
    expect(guessLength(FIRST_HIT_RATE)).toBe(0);
    let hitRate = updateHitRate(FIRST_HIT_RATE, true);
    expect(guessLength(hitRate)).toBeGreaterThan(0);
    for (let i = 0; i < 16; i++) hitRate = updateHitRate(hitRate, true);
    expect(guessLength(hitRate)).toBe(8);
    for (let i = 0; i < 7; i++) hitRate = updateHitRate(hitRate, false);
    expect(guessLength(hitRate)).toBe(0);
  });
});
