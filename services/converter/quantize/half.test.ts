import { expect, it } from 'vitest';
import { toHalf } from './half.ts';

it('gives the bits of IEEE half precision, rounded to nearest even', () => {
  const cases = [
    [0, 0x0000],
    [-0, 0x8000],
    [1, 0x3c00],
    [-2, 0xc000],
    [65504, 0x7bff],
    [65519, 0x7bff],
    [65520, 0x7c00],
    [-1e9, 0xfc00],
    [2 ** -14, 0x0400],
    [2 ** -24, 0x0001],
    // Halfway: to the even neighbour.
    [2 ** -25, 0x0000],
    [1 + 2 ** -11, 0x3c00],
    [1 + 3 * 2 ** -11, 0x3c02],
  ] as const;
  expect([...toHalf(Float32Array.from(cases, ([value]) => value))]).toEqual(cases.map(([, bits]) => bits));
});

it('reads a view at its own offset', () => {
  expect([...toHalf(Float32Array.of(5, 1, 2).subarray(1))]).toEqual([0x3c00, 0x4000]);
});
