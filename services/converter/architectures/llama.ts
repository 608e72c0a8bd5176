/**
 * Llama and what shares its shape (SmolLM, TinyLlama): a gated decoder without differences.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { parseConfig } from './parse-config.ts';
import { ropeOf } from './rope-config.ts';

const LlamaConfig = z.looseObject({
  ...gatedConfig,
  hidden_act: z.literal('silu').default('silu'),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

/** Throws AppError when the configuration or a tensor is not what a llama has. */
export function llama(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'llama', LlamaConfig);
  return gatedDecoder(checkpoint, config, {
    family: 'llama',
    biases: { qkv: config.attention_bias, output: config.attention_bias, mlp: config.mlp_bias },
    ropes: (reader, rotaryDim) => [ropeOf(reader, config, rotaryDim)],
  });
}
