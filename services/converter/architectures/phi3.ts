/**
 * Phi-3, 3.5 and 4-mini: a llama that keeps its projections in one matrix each, with longrope, windows, or partly turned heads.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { parseConfig } from './parse-config.ts';
import { type RopeConfig, ropeOf } from './rope-config.ts';

const size = z.number().int().positive();

const Phi3Config = z.looseObject({
  ...gatedConfig,
  max_position_embeddings: size.default(4096),
  original_max_position_embeddings: size.default(4096),
  rms_norm_eps: z.number().positive().default(1e-5),
  hidden_act: z.literal('silu').default('silu'),
  sliding_window: size.nullish(),
});

/** Throws AppError when the configuration or a tensor is not what a Phi-3 has. */
export function phi3(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'phi3', Phi3Config);
  return gatedDecoder(checkpoint, config, {
    family: 'phi3',
    ropes: (reader, rotaryDim) => [ropeOf(reader, { ...config, ...renamedScaling(config) }, rotaryDim)],
    layer: () => ({ rope: 0, window: config.sliding_window ?? null }),
    fused: true,
    partlyTurned: true,
  });
}

/** The first files call longrope `su`, which ropeOf knows, or `yarn`, which in other families is something else. */
function renamedScaling(config: RopeConfig): Pick<RopeConfig, 'rope_parameters' | 'rope_scaling'> {
  const renamed = (scaling: RopeConfig['rope_scaling']) =>
    [scaling?.rope_type, scaling?.type].includes('yarn') ? { ...scaling, rope_type: 'longrope' } : scaling;
  return { rope_parameters: renamed(config.rope_parameters), rope_scaling: renamed(config.rope_scaling) };
}
