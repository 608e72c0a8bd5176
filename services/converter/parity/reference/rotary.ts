/**
 * Rotary positions of the reference forward passes: how fast each pair turns under every scaling, and the turning itself.
 * Shares nothing with the converter. Source: transformers' modeling_rope_utils; longrope's set is that of the served context.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { Matrix } from './linear-algebra.ts';
import type { Weights } from './weights.ts';

const size = z.number().int().positive();

export const ropeSchema = z.object({
  rope_theta: z.number().positive().nullish(),
  rope_type: z.string().optional(),
  /** The older name of rope_type. */
  type: z.string().optional(),
  factor: z.number().positive().nullish(),
  partial_rotary_factor: z.number().positive().nullish(),
  low_freq_factor: z.number().positive().nullish(),
  high_freq_factor: z.number().positive().nullish(),
  beta_fast: z.number().nullish(),
  beta_slow: z.number().nullish(),
  attention_factor: z.number().nullish(),
  mscale: z.number().nullish(),
  mscale_all_dim: z.number().nullish(),
  truncate: z.boolean().nullish(),
  long_factor: z.array(z.number()).nullish(),
  short_factor: z.array(z.number()).nullish(),
  original_max_position_embeddings: size.nullish(),
});
export type RopeSettings = z.infer<typeof ropeSchema>;

export interface Turning {
  /** Radians per position of each pair (i, i + frequencies.length) of a head; what lies behind the pairs stands still. */
  readonly frequencies: readonly number[];
  /** What turned numbers are multiplied with. */
  readonly magnitude: number;
}

export interface Lengths {
  /** max_position_embeddings. */
  readonly longest: number;
  /** How many positions the version that is judged serves. */
  readonly served: number;
}

/** How heads turn whose first `dim` numbers do. */
export async function turningOf(
  rope: RopeSettings,
  theta: number,
  dim: number,
  lengths: Lengths,
  weights: Weights,
): Promise<Turning> {
  const plain = Array.from({ length: dim / 2 }, (_, i) => theta ** ((-2 * i) / dim));
  const divided = (by: ArrayLike<number>) => plain.map((frequency, i) => frequency / (by[i] as number));
  // GGUF files carry Llama 3's scaling as a divisor for each frequency.
  if (weights.has('rope_freqs.weight')) {
    return { frequencies: divided(await weights.read('rope_freqs.weight', [dim / 2])), magnitude: 1 };
  }
  const type = rope.rope_type ?? rope.type ?? 'default';
  const original = rope.original_max_position_embeddings ?? lengths.longest;
  switch (type) {
    // Dynamic scaling begins beyond max_position_embeddings, where no version serves.
    case 'default':
    case 'dynamic':
      return { frequencies: plain, magnitude: 1 };
    case 'linear':
      return { frequencies: plain.map((frequency) => frequency / demanded(rope.factor, 'factor')), magnitude: 1 };
    case 'llama3': {
      const factor = demanded(rope.factor, 'factor');
      const low = demanded(rope.low_freq_factor, 'low_freq_factor');
      const high = demanded(rope.high_freq_factor, 'high_freq_factor');
      const frequencies = plain.map((frequency) => {
        // Turns made within the original context: many are left alone, few are slowed, in between is blended.
        const turns = (original * frequency) / (2 * Math.PI);
        const keep = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return (keep + (1 - keep) / factor) * frequency;
      });
      return { frequencies, magnitude: 1 };
    }
    case 'yarn':
      return yarn(rope, plain, theta, original, rope.factor ?? lengths.longest / original);
    case 'su':
    case 'longrope': {
      const factor = rope.factor ?? lengths.longest / original;
      const usual = factor > 1 ? Math.sqrt(1 + Math.log(factor) / Math.log(original)) : 1;
      const which = lengths.served > original ? 'long' : 'short';
      return { frequencies: divided(rope[`${which}_factor`] ?? []), magnitude: rope.attention_factor ?? usual };
    }
    default:
      throw new AppError('unsupported_source', `config.json: rope type "${type}" has no reference forward pass.`);
  }
}

/** Peng et al., 2023, section 3.4: by how often a pair turns within the original context, kept, slowed, or something between. */
function yarn(rope: RopeSettings, plain: readonly number[], theta: number, original: number, factor: number): Turning {
  const pairTurning = (times: number) => (plain.length * Math.log(original / (times * 2 * Math.PI))) / Math.log(theta);
  const exact = rope.truncate === false;
  const from = pairTurning(rope.beta_fast ?? 32);
  const to = pairTurning(rope.beta_slow ?? 1);
  const low = Math.max(0, exact ? from : Math.floor(from));
  const high = Math.min(2 * plain.length - 1, exact ? to : Math.ceil(to));
  const frequencies = plain.map((frequency, i) => {
    const ramp = (i - low) / (low === high ? 0.001 : high - low);
    const interpolated = Math.min(1, Math.max(0, ramp));
    return frequency * (1 - interpolated + interpolated / factor);
  });
  const sharpened = (by: number) => (factor > 1 ? 1 + 0.1 * by * Math.log(factor) : 1);
  const usual =
    rope.mscale && rope.mscale_all_dim ? sharpened(rope.mscale) / sharpened(rope.mscale_all_dim) : sharpened(1);
  return { frequencies, magnitude: rope.attention_factor ?? usual };
}

/** Turns every head of every row by its position; Hugging Face's half-split order of pairs. */
export function rotateInPlace(x: Matrix, headDim: number, { frequencies, magnitude }: Turning): void {
  const half = frequencies.length;
  for (let position = 0; position < x.rows; position++) {
    for (let start = position * x.width; start < (position + 1) * x.width; start += headDim) {
      for (let i = 0; i < half; i++) {
        const angle = position * (frequencies[i] as number);
        const [cos, sin] = [magnitude * Math.cos(angle), magnitude * Math.sin(angle)];
        const [a, b] = [x.data[start + i] as number, x.data[start + half + i] as number];
        x.data[start + i] = a * cos - b * sin;
        x.data[start + half + i] = b * cos + a * sin;
      }
    }
  }
}

function demanded(value: number | null | undefined, name: string): number {
  if (typeof value === 'number') return value;
  throw new AppError('invalid_source', `config.json: the rope scaling has no ${name}; add it or remove the scaling.`);
}
