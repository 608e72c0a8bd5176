/** What pictures say: their bars and points are the values, and their axes are round. */
import { describe, expect, it } from 'vitest';
import { histogram } from './histogram.ts';
import { lossChart } from './loss-chart.ts';
import { roundScale } from './scale.ts';

describe('an axis', () => {
  it.each([
    [0, 0.97, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [3, 128, [0, 50, 100, 150]],
    [5.82, 6.93, [5.5, 6, 6.5, 7]],
    [0, 0, [0, 0.2]],
    [7, 7, [6, 8]],
  ])('from %d to %d has round numbers and holds both ends', (low, high, ticks) => {
    const scale = roundScale({ low, high }, 40, 430, 5);
    expect(scale.ticks.map((tick) => Number(tick.toPrecision(6)))).toEqual(ticks);
    expect(scale.at(scale.low)).toBe(40);
    expect(scale.at(scale.high)).toBe(430);
  });
});

describe('a histogram', () => {
  it('has every value in one bar, the greatest too, and one colour for each version', async () => {
    const first = Array.from({ length: 97 }, (_, index) => index);
    const picture = String(
      await histogram('Lengths', 'tokens', [
        { name: 'one', values: first },
        { name: 'two', values: [5, 5, 96] },
      ]),
    );
    const counts = (name: string) =>
      [...picture.matchAll(new RegExp(`<title>${name}: (\\d+) from`, 'g'))].map(([, count]) => Number(count));
    expect(counts('one').reduce((sum, count) => sum + count, 0)).toBe(97);
    expect(counts('two')).toEqual([2, 1]);
    expect(picture.match(/class="series-1"/g)).toHaveLength(2);
  });

  it('of one value has one bar, and no numbers that are none', async () => {
    const picture = String(await histogram('Nothing', 'tokens', [{ name: 'one', values: [0, 0] }]));
    expect(picture).not.toMatch(/NaN|Infinity/);
    expect(picture.match(/<rect/g)).toHaveLength(1);
  });
});

describe('a curve of losses', () => {
  it('begins with the first step, ends with the last, and goes down with the loss', async () => {
    const training = Array.from({ length: 5000 }, (_, index) => ({ step: index + 1, loss: 4 - index / 5000 }));
    const picture = String(await lossChart('Loss', { run: 'run', training, validation: [{ step: 2500, loss: 3.6 }] }));
    const [, path = ''] = /class="line training" d="([^"]+)"/.exec(picture) ?? [];
    const points = path
      .slice(1)
      .split('L')
      .map((point) => point.split(' ').map(Number));
    expect(points.length).toBeLessThan(500);
    const ups = points.map(([, y = 0]) => y);
    // Downwards y grows.
    expect(ups).toEqual([...ups].sort((one, other) => one - other));
    expect(points.at(-1)?.[0]).toBe(430);
    expect(picture).toContain('step 2500: 3.6000');
  });
});
