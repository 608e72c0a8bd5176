/**
 * The arithmetic of rotary angles: frequencies, the ways to stretch them over longer contexts, tables of cosines and sines.
 * Sources at each function. Knows no configuration beyond its numbers.
 */

export interface Llama3Scaling {
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

export interface YarnScaling {
  readonly original_max_position_embeddings: number;
  readonly attention_factor?: number | null | undefined;
  readonly beta_fast?: number | null | undefined;
  readonly beta_slow?: number | null | undefined;
  readonly mscale?: number | null | undefined;
  readonly mscale_all_dim?: number | null | undefined;
  readonly truncate?: boolean | null | undefined;
}

/** Radians per position of each of rotaryDim/2 pairs. */
export function plainFrequencies(theta: number, rotaryDim: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, pair) => theta ** ((-2 * pair) / rotaryDim));
}

/** Llama 3.1: long waves are slowed by `factor`, short ones left alone, between the two a blend. */
export function llama3Frequency(frequency: number, scaling: Llama3Scaling): number {
  const wavelength = (2 * Math.PI) / frequency;
  const original = scaling.original_max_position_embeddings;
  if (wavelength > original / scaling.low_freq_factor) return frequency / scaling.factor;
  if (wavelength < original / scaling.high_freq_factor) return frequency;
  const smooth =
    (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return ((1 - smooth) * frequency) / scaling.factor + smooth * frequency;
}

/** YaRN (https://arxiv.org/abs/2309.00071): pairs that turn often are left alone, the slow ones interpolated, a ramp in between. */
export function yarnFrequencies(
  plain: Float64Array,
  scaling: YarnScaling,
  theta: number,
  factor: number,
): Float64Array {
  const dim = plain.length * 2;
  const pairThatTurns = (rotations: number) =>
    (dim * Math.log(scaling.original_max_position_embeddings / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const whole = scaling.truncate ?? true;
  const [first, last] = [pairThatTurns(scaling.beta_fast ?? 32), pairThatTurns(scaling.beta_slow ?? 1)];
  const low = Math.max(whole ? Math.floor(first) : first, 0);
  const high = Math.min(whole ? Math.ceil(last) : last, dim - 1);
  return plain.map((frequency, pair) => {
    const slowed = Math.min(1, Math.max(0, (pair - low) / (high === low ? 0.001 : high - low)));
    return (frequency / factor) * slowed + frequency * (1 - slowed);
  });
}

/** What cos and sin are multiplied with: attention over longer contexts is sharpened. */
export function yarnMagnitude(scaling: YarnScaling, factor: number): number {
  if (scaling.attention_factor) return scaling.attention_factor;
  const magnitude = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const { mscale, mscale_all_dim: all } = scaling;
  return mscale && all ? magnitude(mscale) / magnitude(all) : magnitude(1);
}

/** cos and sin of the first positions' angles, [positions, pairs], multiplied with `magnitude`. */
export function ropeTables(frequencies: Float64Array, positions: number, magnitude = 1) {
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (const [pair, frequency] of frequencies.entries()) {
      cos[position * half + pair] = magnitude * Math.cos(position * frequency);
      sin[position * half + pair] = magnitude * Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}
