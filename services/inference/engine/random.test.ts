import { expect, it } from 'vitest';
import { createRandom, splitMix64, xoshiro128ss } from './random.ts';

it('is the published generators', () => {
  // splitmix64.c from 1234567, and rand_xoshiro's vector for xoshiro128** from 1, 2, 3, 4.
  const mix = splitMix64(1234567n);
  expect([mix(), mix(), mix()]).toEqual([6457827717110365317n, 3203168211198807973n, 9817491932198370423n]);
  const next = xoshiro128ss([1, 2, 3, 4]);
  const words = Array.from({ length: 10 }, next);
  expect(words).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804,
  ]);
});

it('gives the same numbers for the same seed, others for another, all within [0, 1)', () => {
  const draw = (seed: number) => Array.from({ length: 1000 }, createRandom(seed));
  expect(draw(42)).toEqual(draw(42));
  expect(draw(42)).not.toEqual(draw(43));
  for (const seed of [0, -1, 2 ** 53 - 1]) {
    const numbers = draw(seed);
    expect(Math.min(...numbers)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...numbers)).toBeLessThan(1);
    expect(new Set(numbers).size).toBe(1000);
  }
});
