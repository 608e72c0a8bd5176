import { expect, test } from 'vitest';
import { PairMerger } from './pair-merger.ts';

/** The definition: again and again the pair of lowest rank, the leftmost of equals. */
function reference(
  symbols: readonly number[],
  ranks: ReadonlyMap<string, readonly [rank: number, merged: number]>,
): number[] {
  const left = [...symbols];
  for (;;) {
    let best: { at: number; rank: number; merged: number } | undefined;
    for (let at = 0; at + 1 < left.length; at++) {
      const [rank, merged] = ranks.get(`${left[at]} ${left[at + 1]}`) ?? [Number.POSITIVE_INFINITY, -1];
      if (rank < (best?.rank ?? Number.POSITIVE_INFINITY)) best = { at, rank, merged };
    }
    if (!best) return left;
    left.splice(best.at, 2, best.merged);
  }
}

function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test.each([0, Number.POSITIVE_INFINITY])(
  'merges as defined, with the heap and without (words up to %s are short)',
  (short) => {
    const random = generator(11);
    for (let round = 0; round < 300; round++) {
      const merger = new PairMerger(60);
      const ranks = new Map<string, readonly [number, number]>();
      for (let rank = 0; rank < 60; rank++) {
        const pair = [random(4 + rank), random(4 + rank)] as const;
        const merged = 4 + random(60);
        merger.add(...pair, rank, merged);
        // The first of equal pairs counts.
        if (!ranks.has(pair.join(' '))) ranks.set(pair.join(' '), [rank, merged]);
      }
      const word = Array.from({ length: random(60) }, () => random(4));
      const symbols = Int32Array.from(word);
      const length = merger.merge(symbols, symbols.length, short);
      expect([...symbols.subarray(0, length)]).toEqual(reference(word, ranks));
    }
  },
);
