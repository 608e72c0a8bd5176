import { expect, test } from 'vitest';
import { countLonger, histogram, suggestMaxLength, summarizeLengths, whyTooManyCut } from './token-lengths.ts';

const hundred = Array.from({ length: 100 }, (_, n) => n + 1);

test('percentiles are lengths that occur', () => {
  expect(summarizeLengths(hundred)).toEqual({ count: 100, shortest: 1, median: 50, p90: 90, p99: 99, longest: 100 });
  expect(summarizeLengths([7])).toMatchObject({ median: 7, p99: 7, longest: 7 });
  expect(summarizeLengths([])).toBeUndefined();
});

test.each<[number, number, number, number]>([
  // 99 %, longest, context, suggested: the longest where it is little more, in steps of 64, never more than the model takes.
  [500, 600, 4096, 640],
  [500, 5000, 4096, 512],
  [500, 600, 256, 256],
  [3, 3, 4096, 64],
])('p99 %i, longest %i, context %i: %i', (p99, longest, context, suggested) => {
  expect(suggestMaxLength({ count: 1, shortest: 1, median: 1, p90: 1, p99, longest }, context)).toBe(suggested);
});

test('what would be cut is counted, and told with what to set', () => {
  const summary = summarizeLengths(hundred);
  if (!summary) throw new Error('there are lengths');
  const question = { cut: countLonger(hundred, 64), count: 100, maxLength: 64, contextLength: 512 };
  expect(question.cut).toBe(36);
  expect(whyTooManyCut(summary, { ...question, allowed: 0.36 })).toBeUndefined();
  expect(whyTooManyCut(summary, { ...question, allowed: 0.05 })).toMatch(
    /^36 of 100 examples \(36 %\).*allows 5 %: set data\.max_length to 128/,
  );
  expect(whyTooManyCut(summary, { ...question, allowed: 0.05, contextLength: 64 })).toMatch(
    /the model takes no more than 64/,
  );
});

test('a histogram counts every length once, in bars of a round width', () => {
  const bars = histogram([...hundred, 5000], 10);
  expect(bars.map(({ count }) => count).reduce((sum, count) => sum + count)).toBe(101);
  expect(bars[0]).toEqual({ from: 0, to: 20, count: 19 });
  expect(bars.at(-1)).toEqual({ from: 120, to: 5001, count: 1 });
  expect(histogram([0, 0], 10)).toEqual([{ from: 0, to: 1, count: 2 }]);
});
