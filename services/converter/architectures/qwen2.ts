/**
 * Qwen 2 and 2.5: a llama with biases on queries, keys and values, and windows on some layers where asked for.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { namesEveryLayer, qwenWindows, windowOf } from './layer-types.ts';
import { parseConfig } from './parse-config.ts';
import { ropeOf } from './rope-config.ts';

const Qwen2Config = z
  .looseObject({
    ...gatedConfig,
    ...qwenWindows,
    max_position_embeddings: z.number().int().positive().default(32_768),
    hidden_act: z.literal('silu').default('silu'),
  })
  .refine(...namesEveryLayer);

/** Throws AppError when the configuration or a tensor is not what a Qwen 2 has. */
export function qwen2(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'qwen2', Qwen2Config);
  return gatedDecoder(checkpoint, config, {
    family: 'qwen2',
    biases: { qkv: true },
    ropes: (reader, rotaryDim) => [ropeOf(reader, config, rotaryDim)],
    layer: (index) => ({ rope: 0, window: windowOf(config, index) }),
  });
}
