import { expect, it } from 'vitest';
import { planWindows } from './plan-windows.ts';

it('scores every token but the first once, with as much context as there is', () => {
  for (const tokens of [1, 2, 7, 8, 9, 23, 64]) {
    for (const length of [2, 3, 8]) {
      for (let stride = 1; stride < length; stride++) {
        const windows = planWindows(tokens, length, stride);
        const scored = windows.flatMap(({ scoredFrom, end }) =>
          Array.from({ length: end - scoredFrom }, (_, index) => scoredFrom + index),
        );
        expect(scored).toEqual(Array.from({ length: tokens - 1 }, (_, index) => index + 1));
        for (const { start, end, scoredFrom } of windows) {
          expect(end - start).toBeLessThanOrEqual(length);
          expect(scoredFrom - start).toBeGreaterThanOrEqual(start === 0 ? 1 : length - stride);
        }
      }
    }
  }
});

it('takes one window where one is enough', () => {
  expect(planWindows(8, 8, 4)).toEqual([{ start: 0, end: 8, scoredFrom: 1 }]);
  expect(planWindows(9, 8, 4)).toEqual([
    { start: 0, end: 8, scoredFrom: 1 },
    { start: 4, end: 9, scoredFrom: 8 },
  ]);
  expect(planWindows(1, 8, 4)).toEqual([]);
});
