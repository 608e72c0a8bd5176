/**
 * Rotary positions as configurations describe them: transformers' words for the scalings (modeling_rope_utils), old and new.
 * Chooses what is computed; the arithmetic is in rope-scaling.ts. Knows no family.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { CheckpointReader } from './checkpoint-reader.ts';
import type { Rope } from './decoder-spec.ts';
import { llama3Frequency, plainFrequencies, ropeTables, yarnFrequencies, yarnMagnitude } from './rope-scaling.ts';

const size = z.number().int().positive();
const positive = z.number().positive();
/** Yarn takes its logarithm. */
const theta = z.number().gt(1);

const Scaling = z.discriminatedUnion('rope_type', [
  z.looseObject({ rope_type: z.literal('default') }),
  z.looseObject({ rope_type: z.literal('linear'), factor: positive }),
  z.looseObject({ rope_type: z.literal('dynamic'), factor: positive }),
  z.looseObject({
    rope_type: z.literal('llama3'),
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: size,
  }),
  z.looseObject({
    rope_type: z.literal('yarn'),
    factor: positive.nullish(),
    original_max_position_embeddings: size,
    attention_factor: positive.nullish(),
    beta_fast: positive.nullish(),
    beta_slow: positive.nullish(),
    mscale: z.number().nullish(),
    mscale_all_dim: z.number().nullish(),
    truncate: z.boolean().nullish(),
  }),
  z.looseObject({
    rope_type: z.literal('longrope'),
    factor: positive.nullish(),
    // Its logarithm is divided by.
    original_max_position_embeddings: size.gt(1),
    attention_factor: positive.nullish(),
    short_factor: z.array(positive),
    long_factor: z.array(positive),
  }),
]);
export type Scaling = z.infer<typeof Scaling>;
type ScalingOf<T extends Scaling['rope_type']> = Extract<Scaling, { rope_type: T }>;

/** Older names. */
const ALIASES = new Map([['su', 'longrope']]);

/** transformers 5 keeps theta and scaling in one object; older files have them apart, with `type` for `rope_type`. */
const raw = z.looseObject({ rope_theta: theta.nullish(), partial_rotary_factor: positive.max(1).nullish() });
export const ropeConfig = {
  max_position_embeddings: size.default(2048),
  rope_theta: theta.nullish(),
  rope_parameters: raw.nullish(),
  rope_scaling: raw.nullish(),
  partial_rotary_factor: positive.max(1).nullish(),
  /** Beside the scaling, it wins over what the scaling says. */
  original_max_position_embeddings: size.nullish(),
};
export type RopeConfig = z.infer<z.ZodObject<typeof ropeConfig>>;

/** A file that has both was written for transformers 4, which knows the older, and 5, which prefers it. */
function settingsOf(config: RopeConfig) {
  return config.rope_scaling ?? config.rope_parameters;
}

/** How many of a head's numbers are turned; `fallback`: the share where the configuration names none. */
export function rotaryDimOf(config: RopeConfig, headDim: number, fallback = 1): number {
  const share = settingsOf(config)?.partial_rotary_factor ?? config.partial_rotary_factor ?? fallback;
  return Math.floor(headDim * share);
}

/** AppError unsupported_source names a scaling that is not known, or what it lacks. */
export function ropeOf(reader: CheckpointReader, config: RopeConfig, rotaryDim: number, defaultTheta = 10_000): Rope {
  const theta = settingsOf(config)?.rope_theta ?? config.rope_theta ?? defaultTheta;
  const plain = plainFrequencies(theta, rotaryDim);
  const scaled = scaledRope(reader, config, parseScaling(reader, config), theta, plain);
  // GGUF files may carry a scaling as one divisor per pair.
  const divisors = reader.has('rope_freqs.weight') ? reader.tensor('rope_freqs.weight', [rotaryDim / 2]) : null;
  if (!divisors) return scaled;
  return {
    tables: async (positions) => {
      const values = await divisors.read();
      return ropeTables(
        plain.map((frequency, pair) => frequency / (values[pair] as number)),
        positions,
      );
    },
    describe: () => 'a divisor per pair',
  };
}

function scaledRope(
  reader: CheckpointReader,
  config: RopeConfig,
  scaling: Scaling,
  theta: number,
  plain: Float64Array,
): Rope {
  const fixed = (frequencies: Float64Array, about: string, magnitude = 1): Rope => ({
    tables: async (positions) => ropeTables(frequencies, positions, magnitude),
    describe: () => about,
  });
  switch (scaling.rope_type) {
    case 'default':
      return fixed(plain, `base ${theta}`);
    case 'linear':
      return fixed(
        plain.map((frequency) => frequency / scaling.factor),
        `base ${theta}, linear by ${scaling.factor}`,
      );
    case 'dynamic':
      // It begins to stretch beyond max_position_embeddings, which is as far as a version serves.
      return fixed(plain, `base ${theta}, dynamic: unscaled up to ${config.max_position_embeddings} positions`);
    case 'llama3':
      return fixed(
        plain.map((frequency) => llama3Frequency(frequency, scaling)),
        `base ${theta}, llama3 by ${scaling.factor}`,
      );
    case 'yarn': {
      const factor = scaling.factor ?? config.max_position_embeddings / scaling.original_max_position_embeddings;
      const magnitude = yarnMagnitude(scaling, factor);
      return fixed(
        yarnFrequencies(plain, scaling, theta, factor),
        `base ${theta}, yarn by ${factor} at every length`,
        magnitude,
      );
    }
    case 'longrope':
      return longrope(reader, config, scaling, theta, plain);
  }
}

export function parseScaling(reader: CheckpointReader, config: RopeConfig): Scaling {
  const given: Record<string, unknown> = { ...settingsOf(config) };
  const type = String(given.rope_type ?? given.type ?? 'default');
  const named = {
    ...given,
    rope_type: ALIASES.get(type) ?? type,
    original_max_position_embeddings:
      config.original_max_position_embeddings ??
      given.original_max_position_embeddings ??
      config.max_position_embeddings,
  };
  const parsed = Scaling.safeParse(named);
  if (parsed.success) return parsed.data;
  const known = Scaling.options.map(({ shape }) => shape.rope_type.value);
  const fault = known.some((kind) => kind === named.rope_type)
    ? describeIssues(parsed.error)
    : `there are ${known.join(', ')} (architectures/rope-config.ts)`;
  throw new AppError(
    'unsupported_source',
    `${reader.label}: rotary scaling ${JSON.stringify(type)} is not supported: ${fault}`,
  );
}

/**
 * LongRoPE (https://arxiv.org/abs/2402.13753): one divisor per pair, of two sets. Which set depends on how long a sequence is; since
 * cached keys cannot be turned again, it is chosen once, by how many positions a version serves, as llama.cpp does. transformers
 * changes sets within a sequence, and is the same wherever a sequence stays on one side of the original length with the set served.
 */
function longrope(
  reader: CheckpointReader,
  config: RopeConfig,
  scaling: ScalingOf<'longrope'>,
  theta: number,
  plain: Float64Array,
): Rope {
  const original = scaling.original_max_position_embeddings;
  const factor = scaling.factor ?? config.max_position_embeddings / original;
  const magnitude =
    scaling.attention_factor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original)));
  const sets = { short: scaling.short_factor, long: scaling.long_factor };
  for (const [kind, divisors] of Object.entries(sets)) {
    if (divisors.length === plain.length) continue;
    throw new AppError(
      'invalid_source',
      `${reader.label}: longrope has ${divisors.length} ${kind} factors where ${plain.length} pairs are turned`,
    );
  }
  const chosen = (positions: number) => (positions > original ? 'long' : 'short');
  return {
    tables: async (positions) => {
      const divisors = sets[chosen(positions)];
      const frequencies = plain.map((frequency, pair) => frequency / (divisors[pair] as number));
      return ropeTables(frequencies, positions, magnitude);
    },
    describe: (positions) =>
      `base ${theta}, longrope with its ${chosen(positions)} factors (${positions} positions served, ${original} original)`,
  };
}
