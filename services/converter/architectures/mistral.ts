/**
 * Mistral: a llama whose tokens see only so many positions back.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { layerTypes, namesEveryLayer } from './layer-types.ts';
import { parseConfig } from './parse-config.ts';
import { ropeOf } from './rope-config.ts';

const size = z.number().int().positive();

const MistralConfig = z
  .looseObject({
    ...gatedConfig,
    // Where layers are named, transformers takes the model for a Ministral, which differs in this alone.
    ...layerTypes,
    num_key_value_heads: size.nullable().default(8),
    max_position_embeddings: size.default(131_072),
    hidden_act: z.literal('silu').default('silu'),
    // Absent in files of the first version, which has one of 4,096; null in later versions, which have none.
    sliding_window: size.nullable().default(4096),
  })
  .refine(...namesEveryLayer);

/** Throws AppError when the configuration or a tensor is not what a Mistral has. */
export function mistral(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'mistral', MistralConfig);
  return gatedDecoder(checkpoint, config, {
    family: 'mistral',
    ropes: (reader, rotaryDim) => [ropeOf(reader, config, rotaryDim)],
    layer: (index) => ({
      rope: 0,
      window: config.layer_types?.[index] === 'full_attention' ? null : config.sliding_window,
    }),
  });
}
