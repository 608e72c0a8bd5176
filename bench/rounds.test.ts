import { describe, expect, it } from 'vitest';
import { type Entry, median, percentiles, ratios, runRounds } from './rounds.ts';

function entry(name: string, variant: string, isPeer: boolean, values: (number | Error)[]): Entry {
  let run = 0;
  return {
    name,
    variant,
    isPeer,
    run: async () => {
      const value = values[run++];
      if (value instanceof Error) throw value;
      return { speed: value ?? Number.NaN };
    },
  };
}

describe('median', () => {
  it.each([
    [[3], 3],
    [[9, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
  ])('of %j is %d', (values, expected) => expect(median(values)).toBe(expected));
});

describe('runRounds', () => {
  it('lets everybody run in every round, in turn', async () => {
    const order: string[] = [];
    const entries = ['a', 'b'].map((name) => ({
      ...entry(name, '', false, [1, 2, 6]),
      run: async () => ({ speed: order.push(name) }),
    }));
    const { results } = await runRounds(entries, 3, () => {});
    expect(order.join('')).toBe('ababab');
    expect(results.map((result) => [result.name, result.median, result.samples])).toEqual([
      ['a', 3, [1, 3, 5]],
      ['b', 4, [2, 4, 6]],
    ]);
  });

  it('goes on without a contestant that fails, and says why', async () => {
    const entries = [entry('fine', 'x', false, [1, 2]), entry('broken', 'y', true, [new Error('no model'), 5])];
    const { results, failures } = await runRounds(entries, 2, () => {});
    expect(results.map(({ name }) => name)).toEqual(['fine']);
    expect(failures).toEqual(['broken (y): no model']);
  });
});

describe('ratios', () => {
  it('compare ours with the best variant of each peer, whichever direction is better', async () => {
    const entries = [
      entry('ours', 'int8', false, [20]),
      entry('peer', '1 thread', true, [8]),
      entry('peer', '2 threads', true, [10]),
      entry('other', '', true, [40]),
    ];
    const { results } = await runRounds(entries, 1, () => {});
    expect(ratios(results, true).map(({ peer, ratio }) => [peer, ratio])).toEqual([
      ['peer (2 threads)', 2],
      ['other ()', 0.5],
    ]);
    expect(ratios(results, false).map(({ peer, ratio }) => [peer, ratio])).toEqual([
      ['peer (1 thread)', 2.5],
      ['other ()', 0.5],
    ]);
  });
});

describe('percentiles', () => {
  it('are values that were measured', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    expect(percentiles(values)).toEqual({ p50: 100, p99: 198, max: 200 });
  });
});
