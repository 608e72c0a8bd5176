import { describe, expect, it } from 'vitest';
import { drawSeed, seedOfSequence } from './seeds.ts';

describe('seedOfSequence', () => {
  it('leaves the first sequence the seed that was asked for', () => {
    for (const seed of [0, 42, Number.MAX_SAFE_INTEGER]) expect(seedOfSequence(seed, 0)).toBe(seed);
  });

  it('gives every sequence of neighbouring requests a seed of its own, always the same', () => {
    const all = [0, 1, 2, 3, 2 ** 32, 2 ** 32 + 1].flatMap((seed) =>
      Array.from({ length: 10 }, (_, index) => seedOfSequence(seed, index)),
    );
    expect(new Set(all).size).toBe(all.length);
    expect(seedOfSequence(42, 1)).toBe(seedOfSequence(42, 1));
  });
});

describe('drawSeed', () => {
  it('draws different seeds that a number holds exactly', () => {
    const drawn = Array.from({ length: 20 }, drawSeed);
    expect(new Set(drawn).size).toBeGreaterThan(15);
    expect(drawn.every(Number.isSafeInteger)).toBe(true);
  });
});
