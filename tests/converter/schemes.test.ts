/** What each precision makes of a matrix, read back through its own nodes in ONNX Runtime. Holds numbers, not node lists. */
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { describe, expect, it } from 'vitest';
import type { Blocks, Linear, Matrix } from '../../services/converter/architectures/decoder-spec.ts';
import { schemeFor } from '../../services/converter/precision.ts';
import { gaussian, largestDifference, multiply, transposed } from '../../services/converter/testing/numbers.ts';
import { effectiveWeights, lookedUp, storeHead, storeLinear } from './testing/effective-weights.ts';

const ROWS = 48;
const COLUMNS = 128;
const BLOCK = 32;

function matrixOf(weights: Float32Array, columns = COLUMNS): Matrix {
  return { rows: weights.length / columns, columns, read: async () => weights.slice() };
}

const linearOf = (weights: Float32Array, bias: Float32Array | null = null): Linear => ({
  weight: matrixOf(weights),
  bias: bias && (async () => bias.slice()),
});

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let [error, size] = [0, 0];
  for (const [index, value] of expected.entries()) {
    error += (value - (actual[index] ?? Number.NaN)) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(error / size);
}

/** Root mean square, of Gaussian weights and activations. */
const ERROR: Readonly<Record<Precision, { weights: number; product: number; embedding: number; bits: number }>> = {
  fp32: { weights: 1e-7, product: 1e-6, embedding: 1e-7, bits: 32.1 },
  fp16: { weights: 3e-4, product: 3e-4, embedding: 3e-4, bits: 16.1 },
  int8: { weights: 0.01, product: 0.015, embedding: 0.01, bits: 8.6 },
  int4: { weights: 0.09, product: 0.095, embedding: 0.01, bits: 5.1 },
};

describe.each(['fp32', 'fp16', 'int8', 'int4'] as const)('%s', (precision) => {
  const scheme = schemeFor(precision);
  const bounds = ERROR[precision];
  const weights = gaussian(ROWS * COLUMNS);

  it('keeps weights near, in the bits it promises', async () => {
    const stored = await storeLinear(scheme, linearOf(weights));
    expect(relativeError(await effectiveWeights(stored, COLUMNS), weights)).toBeLessThan(bounds.weights);
    expect((stored.bytes * 8) / weights.length).toBeLessThan(bounds.bits);
  });

  it.each(['free', 'unit'] as const)(
    'multiplies rows (%s) and adds the bias; no row depends on its neighbours',
    async (kind) => {
      const bias = gaussian(ROWS, 5);
      const { run } = await storeLinear(scheme, linearOf(weights, bias), kind);
      const input = gaussian(6 * COLUMNS, 7);
      const exact = multiply(input, transposed(weights, COLUMNS), COLUMNS).map(
        (value, index) => value + (bias[index % ROWS] ?? Number.NaN),
      );
      const product = await run(input);
      expect(relativeError(product, exact)).toBeLessThan(bounds.product);
      // A row alone takes other kernels, whose last bits differ: two against four.
      const row = input.slice(2 * COLUMNS, 3 * COLUMNS);
      const calm = await run(Float32Array.from([...row, ...row]));
      const wild = gaussian(3 * COLUMNS, 9).map((value) => value * 100);
      const again = await run(Float32Array.from([...row, ...wild]));
      expect(again.slice(0, ROWS)).toEqual(calm.slice(0, ROWS));
    },
  );

  it('gives zero for a row of zeros, the bias apart', async () => {
    const { run } = await storeLinear(scheme, linearOf(weights));
    const input = gaussian(2 * COLUMNS).fill(0, 0, COLUMNS);
    expect((await run(input)).slice(0, ROWS).every((value) => value === 0)).toBe(true);
  });

  it('keeps matrices of zeros, of one value, and one outlier among small weights', async () => {
    const cases = {
      zeros: new Float32Array(ROWS * COLUMNS),
      constant: new Float32Array(ROWS * COLUMNS).fill(-0.37),
      positive: weights.map((weight) => 5 + 0.2 * Math.max(-1, Math.min(1, weight))),
      outlier: weights.map((weight, index) => (index % COLUMNS === 3 ? 20 : 0.01 * weight)),
    };
    for (const [name, own] of Object.entries(cases)) {
      const restored = await effectiveWeights(await storeLinear(scheme, linearOf(own)), COLUMNS);
      // The part of the largest weight that a step may be: sign and 3 bits at the coarsest.
      const largest = Math.max(...own.map(Math.abs));
      const step = { fp32: 1e-6, fp16: 1e-3, int8: 1 / 127, int4: 1 / 8 }[precision];
      expect(largestDifference(restored, own), name).toBeLessThanOrEqual(0.55 * step * largest);
    }
  });

  it('looks up and scores with the same embedding', async () => {
    const matrix = matrixOf(gaussian(20 * COLUMNS, 3));
    const table = await matrix.read();
    const ids = [19, 0, 7, 7];
    const rows = await lookedUp(scheme, matrix, ids);
    const expected = Float32Array.from(ids.flatMap((id) => [...table.subarray(id * COLUMNS, (id + 1) * COLUMNS)]));
    expect(relativeError(rows, expected)).toBeLessThan(bounds.embedding);
    const scored = await effectiveWeights(await storeHead(scheme, matrix), COLUMNS);
    const again = Float32Array.from(ids.flatMap((id) => [...scored.subarray(id * COLUMNS, (id + 1) * COLUMNS)]));
    expect(largestDifference(again, rows)).toBeLessThan(1e-4);
  });

  it.each([8, 20, 44])('takes matrices of %i columns, where blocks do not fit', async (columns) => {
    const narrow = gaussian(ROWS * columns, 4);
    const stored = await storeLinear(scheme, { weight: matrixOf(narrow, columns), bias: null });
    expect(relativeError(await effectiveWeights(stored, columns), narrow)).toBeLessThan(bounds.weights);
    const rows = await lookedUp(scheme, matrixOf(narrow, columns), [0, ROWS - 1]);
    const expected = Float32Array.from([...narrow.subarray(0, columns), ...narrow.subarray(-columns)]);
    expect(relativeError(rows, expected)).toBeLessThan(bounds.embedding);
  });
});

describe('int4 of a source that is in 4-bit blocks', () => {
  const count = (ROWS * COLUMNS) / BLOCK;
  const q = Uint8Array.from({ length: ROWS * COLUMNS }, (_, index) => (index * 7 + (index >> 5) * 3) % 16);

  /** Scale and minimum of block `index`; scales are whole in half precision, so that only the carrying is seen. */
  async function carried(blockOf: (index: number) => { scale: number; minimum: number }) {
    const made = Array.from({ length: count }, (_, index) => blockOf(index));
    const blocks: Blocks = {
      q: q.slice(),
      scales: Float32Array.from(made, ({ scale }) => scale),
      minimums: Float32Array.from(made, ({ minimum }) => minimum),
    };
    const truth = Float32Array.from(q, (level, index) => {
      const { scale, minimum } = made[Math.floor(index / BLOCK)] ?? { scale: Number.NaN, minimum: Number.NaN };
      return scale * level + minimum;
    });
    const unread = async () => {
      throw new Error('the blocks were to be carried over, not rounded again');
    };
    const weight = { rows: ROWS, columns: COLUMNS, read: unread, readBlocks: async () => blocks };
    const stored = await storeLinear(schemeFor('int4'), { weight, bias: null });
    const error = Math.max(
      ...(await effectiveWeights(stored, COLUMNS)).map(
        (value, index) =>
          Math.abs(value - (truth[index] ?? Number.NaN)) / Math.abs(made[Math.floor(index / BLOCK)]?.scale ?? 0),
      ),
    );
    return { error, bytes: stored.bytes };
  }

  it('carries Q4_0 over exactly, without shifts', async () => {
    const { error, bytes } = await carried((index) => ({
      scale: (index % 2 ? -1 : 1) * 2 ** -(index % 5),
      minimum: -8 * (index % 2 ? -1 : 1) * 2 ** -(index % 5),
    }));
    expect(error).toBeLessThan(1e-5);
    expect((bytes * 8) / q.length).toBeLessThan(4.6);
  });

  it('carries Q4_1 over within 1/16 of a step', async () => {
    const { error } = await carried((index) => {
      const scale = 2 ** -(index % 5);
      return { scale, minimum: -scale * ((index * 16) / count) * 0.99 };
    });
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThanOrEqual(1 / 16 + 1e-5);
  });

  it('keeps blocks that do not straddle zero within half a step of their largest weight', async () => {
    const { error } = await carried((index) => ({ scale: 1, minimum: index % 2 ? 3 : -24 }));
    // The largest weight is 24 - 3 = 18 or 24: a symmetric grid over it has steps of an eighth.
    expect(error).toBeLessThanOrEqual(24 / 16 + 1e-3);
  });
});
