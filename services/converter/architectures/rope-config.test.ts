import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SourceTensor } from '../checkpoint.ts';
import { ropeSchema, turningOf } from '../parity/reference/rotary.ts';
import { tinyCheckpoint } from '../testing/tiny-checkpoint.ts';
import { CheckpointReader } from './checkpoint-reader.ts';
import { ropeOf } from './rope-config.ts';

const readerOf = (tensors: readonly SourceTensor[] = []) => new CheckpointReader(tinyCheckpoint(tensors));

const DIM = 8;
const BASE = { max_position_embeddings: 256 };

/** The angles of position 1 (a turn less is the same), and the magnitude. */
async function anglesOf(config: object, positions = 256, reader = readerOf()) {
  const { cos, sin } = await ropeOf(reader, { ...BASE, ...config }, DIM).tables(positions);
  const at = (pair: number) => [cos[DIM / 2 + pair] ?? Number.NaN, sin[DIM / 2 + pair] ?? Number.NaN] as const;
  return Array.from({ length: DIM / 2 }, (_, pair) => {
    const [x, y] = at(pair);
    return { angle: Math.atan2(y, x), magnitude: Math.hypot(x, y) };
  });
}

const Truth = z.array(
  z.object({
    scaling: z.looseObject({ rope_type: z.string(), rope_theta: z.number() }),
    served: z.number(),
    frequencies: z.array(z.number()),
    magnitude: z.number(),
  }),
);
const FIXTURE = new URL('fixtures/rope.json', import.meta.url);
const truths = Truth.parse(JSON.parse(readFileSync(FIXTURE, 'utf8')));

const longrope = {
  rope_type: 'longrope',
  short_factor: [1, 1, 1, 1],
  long_factor: [1, 2, 4, 8],
  original_max_position_embeddings: 64,
};

describe('what transformers computes', () => {
  it.each(truths)('$scaling.rope_type, $served served', async ({ scaling, served, frequencies, magnitude }) => {
    const dim = 2 * frequencies.length;
    const config = { max_position_embeddings: 2048, rope_parameters: scaling };
    const { cos, sin } = await ropeOf(readerOf(), config, dim).tables(served);
    // At position 1 an angle is the frequency: none makes more than half a turn.
    const at = (table: Float32Array, pair: number) => table[frequencies.length + pair] ?? Number.NaN;
    for (const [pair, frequency] of frequencies.entries()) {
      expect(Math.atan2(at(sin, pair), at(cos, pair)) / frequency).toBeCloseTo(1, 4);
      expect(Math.hypot(at(sin, pair), at(cos, pair))).toBeCloseTo(magnitude, 5);
    }
    // The gate's own arithmetic agrees.
    const weights = { has: () => false, read: async () => new Float32Array() };
    const lengths = { longest: 2048, served };
    const turning = await turningOf(ropeSchema.parse(scaling), scaling.rope_theta, dim, lengths, weights);
    expect(turning.magnitude).toBeCloseTo(magnitude, 6);
    for (const [pair, frequency] of frequencies.entries()) {
      expect((turning.frequencies[pair] ?? 0) / frequency).toBeCloseTo(1, 5);
    }
  });
});

describe('ropeOf', () => {
  it('reads the words of old and new files alike', async () => {
    const plain = await anglesOf({});
    expect(plain.map(({ angle }) => angle)).toEqual([1, 0.1, 0.01, 0.001].map((value) => expect.closeTo(value, 6)));
    const linear = await anglesOf({ rope_scaling: { type: 'linear', factor: 4 } });
    expect(linear[0]?.angle).toBeCloseTo(0.25, 6);
    expect(await anglesOf({ rope_parameters: { rope_type: 'linear', factor: 4 } })).toEqual(linear);
    expect(await anglesOf({ rope_scaling: { rope_type: 'default' } })).toEqual(plain);
    expect(await anglesOf({ rope_theta: 10_000, rope_parameters: null })).toEqual(plain);
    expect((await anglesOf({ rope_theta: 16 }))[1]?.angle).toBeCloseTo(0.5, 6);
    expect(await anglesOf({ rope_parameters: { rope_theta: 16 } })).toEqual(await anglesOf({ rope_theta: 16 }));
  });

  it('takes a yarn whose ramp has no length for a step, as transformers does', async () => {
    const step = { rope_type: 'yarn', factor: 4, beta_fast: 2, beta_slow: 2, truncate: false };
    const config = { rope_scaling: { ...step, original_max_position_embeddings: 64 } };
    const turns = (await anglesOf(config)).map(({ angle }) => angle);
    expect(turns).toEqual([1, 0.1 / 4, 0.01 / 4, 0.001 / 4].map((value) => expect.closeTo(value, 6)));
  });

  it('leaves dynamic scaling out: it begins where a version ends', async () => {
    expect(await anglesOf({ rope_scaling: { type: 'dynamic', factor: 4 } })).toEqual(await anglesOf({}));
  });

  it('chooses longrope by the positions that are served, and says which', async () => {
    const config = { rope_scaling: longrope };
    const magnitude = Math.sqrt(1 + Math.log(4) / Math.log(64));
    const [short, long] = [await anglesOf(config, 64), await anglesOf(config, 65)];
    expect(short.map(({ angle }) => angle)).toEqual([1, 0.1, 0.01, 0.001].map((value) => expect.closeTo(value, 6)));
    expect(long[3]?.angle).toBeCloseTo(0.001 / 8, 7);
    for (const { magnitude: own } of [...short, ...long]) expect(own).toBeCloseTo(magnitude, 5);
    const rope = ropeOf(readerOf(), { ...BASE, ...config }, DIM);
    expect(rope.describe(64)).toMatch(/its short factors \(64 positions served, 64 original\)/);
    expect(rope.describe(200)).toMatch(/its long factors/);
    // The name of Phi-3's first files.
    expect(await anglesOf({ rope_scaling: { ...longrope, rope_type: undefined, type: 'su' } }, 65)).toEqual(long);
    // What lies beside the scaling wins.
    expect(await anglesOf({ rope_scaling: longrope, original_max_position_embeddings: 128 }, 65)).not.toEqual(long);
  });

  it.each([
    [{ type: 'ntk-by-hand', factor: 2 }, /"ntk-by-hand".*there are default, linear, dynamic, llama3, yarn, longrope/],
    [{ type: 'linear' }, /"linear".*factor: Invalid input/],
    [{ rope_type: 'llama3', factor: 8 }, /low_freq_factor/],
    [{ rope_type: 'toString' }, /there are default/],
    [{ ...longrope, original_max_position_embeddings: 1 }, /^tiny: rotary scaling "longrope" is not supported: orig/],
  ])('refuses %j by name', (scaling, message) => {
    expect(() => ropeOf(readerOf(), { ...BASE, rope_scaling: scaling }, DIM)).toThrow(
      expect.objectContaining({ code: 'unsupported_source', message: expect.stringMatching(message) }),
    );
  });

  it('divides by what a tensor of a GGUF file says', async () => {
    const divisors = {
      name: 'rope_freqs.weight',
      shape: [4],
      dtype: 'F32',
      read: async () => Float32Array.of(2, 1, 4, 8),
    };
    const angles = await anglesOf({}, 256, readerOf([divisors]));
    expect(angles.map(({ angle }) => angle)).toEqual(
      [0.5, 0.1, 0.0025, 0.000125].map((value) => expect.closeTo(value, 7)),
    );
    const rope = ropeOf(readerOf([divisors]), BASE, DIM);
    expect(rope.describe(256)).toBe('a divisor per pair');
    const weights = { has: () => true, read: () => divisors.read() };
    const turning = await turningOf({}, 10_000, DIM, { longest: 256, served: 256 }, weights);
    expect(turning.frequencies).toEqual(angles.map(({ angle }) => expect.closeTo(angle, 7)));
    const broken = { ...divisors, read: async () => Float32Array.of(2, Number.NaN, 4, 8) };
    await expect(anglesOf({}, 256, readerOf([broken]))).rejects.toThrow(/rope_freqs\.weight holds NaN/);
    const short = { ...divisors, shape: [3] };
    expect(() => ropeOf(readerOf([short]), BASE, DIM)).toThrow(/rope_freqs\.weight has shape \[3\]/);
  });

  it('refuses factors that are not as many as pairs', () => {
    const scaling = { ...longrope, long_factor: [1, 2] };
    expect(() => ropeOf(readerOf(), { ...BASE, rope_scaling: scaling }, DIM)).toThrow(/2 long factors where 4 pairs/);
    const none = { ...longrope, short_factor: undefined };
    expect(() => ropeOf(readerOf(), { ...BASE, rope_scaling: none }, DIM)).toThrow(/short_factor: Invalid input/);
  });
});
