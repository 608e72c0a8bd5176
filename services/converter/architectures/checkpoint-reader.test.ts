import { describe, expect, it } from 'vitest';
import type { SourceTensor } from '../checkpoint.ts';
import { tinyCheckpoint } from '../testing/tiny-checkpoint.ts';
import { CheckpointReader, stackRows } from './checkpoint-reader.ts';

function tensor(name: string, shape: readonly number[], values: readonly number[]): SourceTensor {
  return { name, shape, dtype: 'F32', read: async () => Float32Array.from(values) };
}

/** Two rows of 32 in 4-bit blocks: all weights of a row are scale * 3 + minimum. */
function blocked(name: string, scales: readonly number[], minimums: readonly number[]): SourceTensor {
  const q = new Uint8Array(64).fill(3);
  return {
    ...tensor(name, [2, 32], Array<number>(64).fill(0)),
    dtype: 'Q4_1',
    readBlocks: async () => ({ q, scales: Float32Array.from(scales), minimums: Float32Array.from(minimums) }),
  };
}

const reader = (...tensors: SourceTensor[]) => new CheckpointReader(tinyCheckpoint(tensors));

describe('CheckpointReader', () => {
  it('gives tensors by name and prefix, with their biases', async () => {
    const checkpoint = tinyCheckpoint([tensor('a.w.weight', [1, 2], [1, 2]), tensor('a.w.bias', [1], [3])]);
    const prefixed = new CheckpointReader(checkpoint, 'a.');
    expect([prefixed.has('w.weight'), prefixed.has('a.w.weight')]).toEqual([true, false]);
    const { weight, bias } = prefixed.linear('w', 1, 2, false);
    expect([...(await weight.read()), ...((await bias?.()) ?? [])]).toEqual([1, 2, 3]);
    expect(reader(tensor('w.weight', [1, 2], [1, 2])).linear('w', 1, 2, false).bias).toBeNull();
  });

  it('says which tensor is missing, or of another shape, and what was expected', () => {
    const one = reader(tensor('w', [2, 3], [1, 2, 3, 4, 5, 6]));
    expect(() => one.matrix('v', 2, 3)).toThrow('tiny: the tensor v [2,3] is missing; the configuration asks for it');
    for (const shape of [[3, 2], [6], [2, 3, 1]]) {
      expect(() => one.tensor('w', shape)).toThrow(
        `tiny: the tensor w has shape [2,3], the configuration asks for [${shape}]`,
      );
    }
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    'refuses %s in any kind of tensor',
    async (bad) => {
      const one = reader(tensor('v', [3], [1, 2, bad]), tensor('m', [1, 2], [bad, 0]));
      await expect(one.vector('v', 3)()).rejects.toMatchObject({
        code: 'invalid_source',
        message: expect.stringContaining(`tiny: the tensor v holds ${bad} (element 2, stored as F32)`),
      });
      await expect(one.matrix('m', 1, 2).read()).rejects.toThrow(/the tensor m holds/);
      const scale = reader(blocked('b', [1, bad], [0, 0])).matrix('b', 2, 32);
      await expect(scale.readBlocks?.()).rejects.toThrow(
        `the tensor b holds ${bad} (scale of block 1, stored as Q4_1)`,
      );
      const minimum = reader(blocked('b', [1, 1], [bad, 0])).matrix('b', 2, 32);
      await expect(minimum.readBlocks?.()).rejects.toThrow(`the tensor b holds ${bad} (minimum of block 0`);
    },
  );

  it('lets the largest, smallest and negative zero pass', async () => {
    const values = [3.4028234663852886e38, -3.4028234663852886e38, 2 ** -149, -0];
    expect([...(await reader(tensor('v', [4], values)).vector('v', 4)())]).toEqual(values);
  });
});

describe('stackRows', () => {
  it('puts layers below each other; a missing bias is zeros when another has one', async () => {
    const one = reader(
      tensor('a.weight', [1, 2], [1, 2]),
      tensor('b.weight', [2, 2], [3, 4, 5, 6]),
      tensor('b.bias', [2], [7, 8]),
    );
    const [a, b] = [one.linear('a', 1, 2, false), one.linear('b', 2, 2, false)];
    const both = stackRows([a, b]);
    expect([both.weight.rows, both.weight.columns]).toEqual([3, 2]);
    expect([...(await both.weight.read())]).toEqual([1, 2, 3, 4, 5, 6]);
    expect([...((await both.bias?.()) ?? [])]).toEqual([0, 7, 8]);
    expect(stackRows([a, a]).bias).toBeNull();
  });

  it('keeps 4-bit blocks when every part has them', async () => {
    const one = reader(
      blocked('x', [1, 2], [3, 4]),
      blocked('y', [5, 6], [7, 8]),
      tensor('z', [2, 32], Array(64).fill(0)),
    );
    const [x, y, z] = ['x', 'y', 'z'].map((name) => ({ weight: one.matrix(name, 2, 32), bias: null }));
    if (!x || !y || !z) throw new Error('three parts were asked for');
    const blocks = await stackRows([x, y]).weight.readBlocks?.();
    expect([...(blocks?.scales ?? [])]).toEqual([1, 2, 5, 6]);
    expect([...(blocks?.minimums ?? [])]).toEqual([3, 4, 7, 8]);
    expect(blocks?.q).toHaveLength(128);
    expect(stackRows([x, z]).weight.readBlocks).toBeUndefined();
  });
});
