import { describe, expect, it } from 'vitest';
import type { Sampling } from './contract.ts';
import { createRandom } from './random.ts';
import { createSampler } from './sampler.ts';
import { describeToken, drawToken, filterTokens, findBest } from './sampling.ts';

const PLAIN: Sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 };

/** Rows of every kind: short and long, flat and steep, with ties and with masked tokens. */
function makeRow(seed: number): Float32Array {
  const random = createRandom(seed);
  const size = [1, 2, 5, 63, 64, 65, 200, 1000][seed % 8] ?? 1;
  const spread = [0.5, 3, 12][seed % 3] ?? 1;
  const coarse = seed % 5 === 0;
  const row = Float32Array.from({ length: size }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return coarse ? Math.round(normal * spread) : normal * spread;
  });
  if (seed % 7 === 0 && size > 2) row[1] = -Infinity;
  return row;
}

function weightsOf(row: Float32Array, temperature: number, tokens: readonly number[]): number[] {
  const best = Math.max(...row);
  const weights = tokens.map((token) => Math.exp(((row[token] ?? 0) - best) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The slow, obvious way: sort, filter one after the other, each over what the one before left. */
function filterSlowly(row: Float32Array, sampling: Sampling): number[] {
  const logit = (token: number) => row[token] ?? 0;
  let tokens = [...row.keys()].sort((a, b) => logit(b) - logit(a) || a - b);
  if (sampling.topK > 0) {
    const smallest = logit(tokens[Math.min(sampling.topK, tokens.length) - 1] ?? 0);
    tokens = tokens.filter((token) => logit(token) >= smallest);
  }
  if (sampling.topP < 1) {
    const weights = weightsOf(row, sampling.temperature, tokens);
    let before = 0;
    tokens = tokens.filter((_, rank) => {
      const stays = rank === 0 || before < sampling.topP;
      before += weights[rank] ?? 0;
      return stays;
    });
  }
  if (sampling.minP > 0) {
    const weights = weightsOf(row, sampling.temperature, tokens);
    tokens = tokens.filter((_, rank) => (weights[rank] ?? 0) >= sampling.minP * (weights[0] ?? 0));
  }
  return tokens.sort((a, b) => a - b);
}

describe('findBest', () => {
  it('is the lowest index of the largest logit', () => {
    for (let seed = 0; seed < 400; seed++) {
      const row = makeRow(seed);
      expect(findBest(row)).toBe(row.indexOf(Math.max(...row)));
    }
    expect(findBest(Float32Array.of(1, 5, 5, 2))).toBe(1);
  });

  it('refuses rows that are not finite, wherever the fault lies', () => {
    for (const bad of [Number.NaN, Infinity]) {
      for (const at of [0, 1, 63, 64, 100, 129]) {
        const row = new Float32Array(130).fill(-3);
        row[at] = bad;
        expect(findBest(row)).toBe(-1);
        for (const sampling of [PLAIN, { ...PLAIN, topK: 5 }, { ...PLAIN, topP: 0.5 }, { ...PLAIN, minP: 0.1 }]) {
          expect(drawToken(row, sampling, 0.5)).toBe(-1);
        }
      }
    }
    expect(findBest(new Float32Array(3).fill(-Infinity))).toBe(-1);
  });
});

describe('filterTokens', () => {
  it('keeps what the slow way keeps, for every mix of filters', () => {
    const choices = { topK: [0, 1, 7, 64, 5000], topP: [1, 0.951, 0.503, 0.0501, 0], minP: [0, 0.02, 0.5, 1] };
    const random = createRandom(7);
    const pick = (values: readonly number[]) => values[Math.floor(random() * values.length)] ?? 0;
    for (let seed = 0; seed < 4000; seed++) {
      const row = makeRow(seed);
      const temperature = [0.1, 0.7, 1, 2.5][seed % 4] ?? 1;
      const filters = { topK: pick(choices.topK), topP: pick(choices.topP), minP: pick(choices.minP) };
      const sampling = { ...PLAIN, ...filters, temperature };
      expect(
        [...filterTokens(row, sampling)].filter((token) => row[token] !== -Infinity),
        JSON.stringify({ seed, sampling }),
      ).toEqual(filterSlowly(row, sampling).filter((token) => row[token] !== -Infinity));
    }
  });

  it('keeps ties at the border of top-k, and the lowest ids at the border of top-p', () => {
    const row = Float32Array.of(0, 1, 1, 1, 2);
    expect([...filterTokens(row, { ...PLAIN, topK: 2 })]).toEqual([1, 2, 3, 4]);
    // 2 holds 0.44 of the mass, each 1 0.16.
    expect([...filterTokens(row, { ...PLAIN, topP: 0.5 })]).toEqual([1, 4]);
    expect([...filterTokens(row, { ...PLAIN, topP: 0.7 })]).toEqual([1, 2, 4]);
  });
});

describe('drawToken', () => {
  it.each([
    ['no filter', {}],
    ['a low temperature', { temperature: 0.3 }],
    ['top-k', { topK: 12 }],
    ['top-p', { topP: 0.8 }],
    ['min-p', { minP: 0.05 }],
    ['all of them', { temperature: 1.4, topK: 40, topP: 0.9, minP: 0.01 }],
  ] as const)('draws by the softmax of what is left, with %s', (_, filters) => {
    const row = makeRow(1007);
    const sampling = { ...PLAIN, ...filters };
    const kept = filterSlowly(row, sampling);
    const expected = weightsOf(row, sampling.temperature, kept);
    const draws = 20_000;
    const random = createRandom(99);
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const token = drawToken(row, sampling, random());
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    for (const token of counts.keys()) expect(kept).toContain(token);
    // Chi-square over the tokens that are expected at least five times, the others together as one.
    let [statistic, bins, rareExpected, rareCounted] = [0, 0, 0, 0];
    for (const [rank, token] of kept.entries()) {
      const want = (expected[rank] ?? 0) * draws;
      const got = counts.get(token) ?? 0;
      if (want >= 5) {
        statistic += (got - want) ** 2 / want;
        bins++;
      } else {
        rareExpected += want;
        rareCounted += got;
      }
    }
    if (rareExpected >= 5) {
      statistic += (rareCounted - rareExpected) ** 2 / rareExpected;
      bins++;
    }
    const freedom = Math.max(bins - 1, 1);
    // Four standard deviations above the mean of the chi-square distribution.
    expect(statistic).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
  });

  it('reaches the ends of the row for the ends of the interval, and never a masked token', () => {
    const row = new Float32Array(200).fill(-Infinity);
    row[70] = 1;
    row[130] = 1;
    expect(drawToken(row, PLAIN, 0)).toBe(70);
    expect(drawToken(row, PLAIN, 1 - 2 ** -53)).toBe(130);
    expect(drawToken(row, { ...PLAIN, topK: 5 }, 1 - 2 ** -53)).toBe(130);
    expect(drawToken(row, { ...PLAIN, topK: 5 }, 0)).toBe(70);
  });

  it('comes to the greedy token as the temperature goes to nothing', () => {
    for (let seed = 1; seed < 50; seed++) {
      if (seed % 5 === 0) continue;
      const row = makeRow(seed);
      expect(drawToken(row, { ...PLAIN, temperature: 1e-320 }, 0.999)).toBe(findBest(row));
    }
  });
});

describe('describeToken', () => {
  it('is the log-softmax and the best tokens, lowest id first on ties', () => {
    for (let seed = 0; seed < 200; seed++) {
      const row = makeRow(seed);
      const count = seed % 21;
      const described = describeToken(row, 0, count);
      const best = Math.max(...row);
      const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value - best), 0)) + best;
      expect(described.logprob).toBeCloseTo((row[0] ?? 0) - total, 8);
      const order = [...row.keys()].sort((a, b) => (row[b] ?? 0) - (row[a] ?? 0) || a - b).slice(0, count);
      expect(described.top.map((entry) => entry.token)).toEqual(order);
      for (const entry of described.top) {
        if (row[entry.token] !== -Infinity) expect(entry.logprob).toBeCloseTo((row[entry.token] ?? 0) - total, 8);
      }
    }
  });

  it('tells of the model, not of the penalty or the temperature', () => {
    const row = Float32Array.of(3, 1, 0);
    const choice = createSampler({
      sampling: { ...PLAIN, temperature: 0, repetitionPenalty: 10 },
      prompt: [0],
      eosTokenIds: [],
      logprobs: 1,
    }).choose(row.slice());
    expect(choice?.token).toBe(1);
    expect(choice?.logprobs).toEqual(describeToken(row, 1, 1));
    expect(choice?.logprobs?.top[0]?.token).toBe(0);
  });
});

it('the same seed chooses the same tokens', () => {
  const choose = (seed: number) => {
    const sampler = createSampler({ sampling: { ...PLAIN, seed, temperature: 2 }, prompt: [1], eosTokenIds: [] });
    return Array.from({ length: 30 }, (_, i) => sampler.choose(makeRow(8 * i + 7))?.token);
  };
  expect(choose(5)).toEqual(choose(5));
  expect(choose(5)).not.toEqual(choose(6));
});
