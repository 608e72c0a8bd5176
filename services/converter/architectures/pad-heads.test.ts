import { describe, expect, it } from 'vitest';
import { gaussian } from '../testing/numbers.ts';
import type { DecoderSpec, Matrix } from './decoder-spec.ts';
import { padHeads } from './pad-heads.ts';

const matrix = (rows: number, columns: number, values: Float32Array): Matrix => ({
  rows,
  columns,
  read: async () => values,
});

/** One layer, two heads over one key/value head, hidden 4: its numbers tell where they came from. */
function specOf(headDim: number, rotary: boolean, rotaryDim = headDim): DecoderSpec {
  const qkvRows = 4 * headDim;
  const plain = { gain: null, bias: null };
  const numbered = (length: number) => Float32Array.from({ length }, (_, index) => index + 1);
  const linear = { weight: matrix(4, 4, gaussian(16)), bias: null };
  return {
    family: 'test',
    hiddenSize: 4,
    heads: 2,
    kvHeads: 1,
    headDim,
    rotaryDim,
    intermediateSize: 4,
    vocabSize: 4,
    contextLength: 3,
    norm: { kind: 'rms', epsilon: 1e-5 },
    activation: 'gelu-tanh',
    ropes: rotary
      ? [
          {
            tables: async () => ({
              cos: numbered((3 * rotaryDim) / 2),
              sin: numbered((3 * rotaryDim) / 2).map((value) => -value),
            }),
            describe: () => '',
          },
        ]
      : [],
    attentionScale: 0.5,
    positions: null,
    embedding: linear.weight,
    embeddingScale: 1,
    embeddingOutput: null,
    headInput: null,
    head: null,
    finalNorm: plain,
    layers: [
      {
        attentionNorm: plain,
        qkv: { weight: matrix(qkvRows, 4, numbered(qkvRows * 4)), bias: async () => numbered(qkvRows) },
        headNorms: null,
        rope: rotary ? 0 : null,
        window: null,
        attentionOutputNorm: null,
        mlpOutputNorm: null,
        output: { weight: matrix(4, 2 * headDim, numbered(8 * headDim)), bias: null },
        mlpNorm: plain,
        up: linear,
        down: linear,
        downHadamard: null,
        inputHadamard: null,
      },
    ],
  };
}

describe('padHeads', () => {
  it('leaves heads of a multiple of 16 as they are', () => {
    for (const size of [16, 64, 80]) {
      const spec = specOf(size, true);
      expect(padHeads(spec)).toBe(spec);
    }
  });

  it.each([
    [8, true],
    [12, true],
    [40, true],
    [7, false],
    [24, false],
  ])('gives heads of %i a place in wider ones, rotary: %s', async (size, rotary) => {
    const spec = specOf(size, rotary);
    const padded = padHeads(spec);
    const width = padded.headDim;
    expect(width % 16).toBe(0);
    expect(width - size).toBeLessThan(16);
    // What scores are multiplied with belongs to the model, not to the padding.
    expect(padded.attentionScale).toBe(spec.attentionScale);
    const layer = padded.layers[0];
    if (!layer) throw new Error('one layer was given');

    // Where dimension `index` of head `head` went: heads 0..1 are queries, 2 is the key, 3 the value.
    const place = (head: number, index: number) =>
      head * width + (rotary && head < 3 && index >= size / 2 ? index - size / 2 + width / 2 : index);
    const bias = (await layer.qkv.bias?.()) ?? new Float32Array();
    const rows = await layer.qkv.weight.read();
    expect([layer.qkv.weight.rows, bias.length, rows.length]).toEqual([4 * width, 4 * width, 16 * width]);
    for (let head = 0; head < 4; head++) {
      for (let index = 0; index < size; index++) {
        const [from, to] = [head * size + index, place(head, index)];
        expect(bias[to]).toBe(from + 1);
        expect([...rows.subarray(to * 4, to * 4 + 4)]).toEqual([1, 2, 3, 4].map((column) => from * 4 + column));
      }
    }
    // Everything else is zero: n numbers 1..n have this sum.
    expect(bias.reduce((a, b) => a + b, 0)).toBe((4 * size * (4 * size + 1)) / 2);

    const output = await layer.output.weight.read();
    expect(layer.output.weight.columns).toBe(2 * width);
    for (const head of [0, 1]) {
      const own = [...output.subarray(head * width, head * width + width)];
      expect(own).toEqual(Array.from({ length: width }, (_, index) => (index < size ? head * size + index + 1 : 0)));
    }
  });

  it('does not turn the pairs it adds', async () => {
    const { cos, sin } = (await padHeads(specOf(8, true)).ropes[0]?.tables(3)) ?? {};
    expect([...(cos ?? [])]).toEqual([1, 2, 3, 4, 1, 1, 1, 1, 5, 6, 7, 8, 1, 1, 1, 1, 9, 10, 11, 12, 1, 1, 1, 1]);
    expect([...(sin ?? [])].map(Math.abs)).toEqual([
      1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8, 0, 0, 0, 0, 9, 10, 11, 12, 0, 0, 0, 0,
    ]);
  });

  it.each([
    [16, 8],
    [20, 8],
    [32, 24],
    [24, 2],
  ])('turns what was turned of heads of %i, %i numbers, and nothing else', async (size, turned) => {
    const spec = specOf(size, true, turned);
    const padded = padHeads(spec);
    const width = padded.headDim;
    expect([padded.rotaryDim, width % 16]).toEqual([width, 0]);
    const bias = (await padded.layers[0]?.qkv.bias?.()) ?? new Float32Array();
    const { cos, sin } = (await padded.ropes[0]?.tables(3)) ?? {};
    for (const head of [0, 1, 2]) {
      const place = (index: number) => bias.indexOf(head * size + index + 1) - head * width;
      for (let index = 0; index < size; index++) expect(place(index) >= 0 && place(index) < width).toBe(true);
      for (let pair = 0; pair < turned / 2; pair++) {
        // Partners stay partners, and the pair keeps its angle.
        expect(place(pair + turned / 2)).toBe(place(pair) + width / 2);
        expect(cos?.[width / 2 + place(pair)]).toBe(turned / 2 + pair + 1);
      }
      for (let index = turned; index < size; index++) {
        expect([
          cos?.[width / 2 + (place(index) % (width / 2))],
          sin?.[width / 2 + (place(index) % (width / 2))],
        ]).toEqual([1, 0]);
      }
    }
    // Values keep their order.
    expect([...bias.subarray(3 * width, 3 * width + size)]).toEqual(
      Array.from({ length: size }, (_, i) => 3 * size + i + 1),
    );
  });

  it('keeps 4-bit blocks where rows only change places', async () => {
    const spec = specOf(16, true, 8);
    const [layer] = spec.layers;
    if (!layer) throw new Error('one layer was given');
    const rows = layer.qkv.weight.rows;
    const readBlocks = async () => ({
      q: Uint8Array.from({ length: rows * 32 }, (_, index) => (index >> 5) % 16),
      scales: Float32Array.from({ length: rows }, (_, row) => row + 1),
      minimums: Float32Array.from({ length: rows }, (_, row) => -row - 1),
    });
    const weight = { ...matrix(rows, 32, new Float32Array(rows * 32)), readBlocks };
    const blocked = padHeads({ ...spec, layers: [{ ...layer, qkv: { ...layer.qkv, weight } }] });
    const [bias, blocks] = [await blocked.layers[0]?.qkv.bias?.(), await blocked.layers[0]?.qkv.weight.readBlocks?.()];
    expect(blocks?.scales).toEqual(bias);
    expect(blocks?.minimums).toEqual(bias?.map((value) => -value));
    expect(blocks?.q[32 * 5]).toBe(((bias?.[5] ?? 0) - 1) % 16);
    const wider = padHeads({ ...specOf(20, true, 8), layers: [{ ...layer, qkv: { weight, bias: null } }] });
    expect(wider.layers[0]?.qkv.weight.readBlocks).toBeUndefined();
  });

  it('normalizes padded heads as it did the narrow ones', async () => {
    const spec = specOf(12, true);
    const [layer] = spec.layers;
    if (!layer) throw new Error('one layer was given');
    const gain = gaussian(12, 3);
    const norm = { gain: async () => gain, epsilon: 0.5 };
    const padded = padHeads({ ...spec, layers: [{ ...layer, headNorms: { query: norm, key: norm } }] });
    const query = padded.layers[0]?.headNorms?.query;
    const wideGain = (await query?.gain()) ?? new Float32Array();
    const place = (index: number) => (index < 6 ? index : index - 6 + 8);
    const head = gaussian(12, 4);
    const wide = new Float32Array(16);
    for (const [index, value] of head.entries()) wide[place(index)] = value;
    const normalize = (values: Float32Array, gains: Float32Array, epsilon: number) => {
      const mean = values.reduce((sum, value) => sum + value * value, 0) / values.length;
      return values.map((value, index) => (value * (gains[index] ?? Number.NaN)) / Math.sqrt(mean + epsilon));
    };
    const expected = normalize(head, gain, 0.5);
    const result = normalize(wide, wideGain, query?.epsilon ?? Number.NaN);
    for (const [index, value] of expected.entries()) expect(result[place(index)]).toBeCloseTo(value, 5);
    expect(result[6]).toBe(0);
  });
});
