import { expect, it } from 'vitest';
import { gaussian } from '../testing/numbers.ts';
import { fitInThreads } from './fit-in-threads.ts';
import { fitZeroPoints } from './fit-zero-points.ts';

it('gives what one thread gives, in the same order', async () => {
  // More than two parts' worth, and a number of blocks that does not divide.
  const weights = gaussian(32 * 12_345);
  expect(await fitInThreads(weights, 32)).toEqual(fitZeroPoints(weights, 32));
});

it('fits several matrices at once', async () => {
  const matrices = [gaussian(32 * 9000), gaussian(32 * 10_001), gaussian(64)];
  const fitted = await Promise.all(matrices.map((weights) => fitInThreads(weights, 32)));
  expect(fitted).toEqual(matrices.map((weights) => fitZeroPoints(weights, 32)));
});
