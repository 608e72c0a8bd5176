/**
 * Qwen 3: a llama whose query and key heads are normalized before they are turned, with heads of 128 whatever the hidden size is.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { namesEveryLayer, qwenWindows, windowOf } from './layer-types.ts';
import { parseConfig } from './parse-config.ts';
import { ropeOf } from './rope-config.ts';

const Qwen3Config = z
  .looseObject({
    ...gatedConfig,
    ...qwenWindows,
    head_dim: z.number().int().positive().default(128),
    max_position_embeddings: z.number().int().positive().default(32_768),
    hidden_act: z.literal('silu').default('silu'),
    attention_bias: z.boolean().default(false),
  })
  .refine(...namesEveryLayer);

/** Throws AppError when the configuration or a tensor is not what a Qwen 3 has. */
export function qwen3(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'qwen3', Qwen3Config);
  return gatedDecoder(checkpoint, config, {
    family: 'qwen3',
    biases: { qkv: config.attention_bias, output: config.attention_bias },
    ropes: (reader, rotaryDim) => [ropeOf(reader, config, rotaryDim)],
    layer: (index) => ({ rope: 0, window: windowOf(config, index) }),
    headNorms: true,
  });
}
