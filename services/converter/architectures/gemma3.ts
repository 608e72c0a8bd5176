/**
 * Gemma 3, its text side: norms before and behind attention and MLP, query and key heads normalized, gains stored less one, the embedding
 * scaled. Most layers see a window and turn heads by a rope of their own.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import type { DecoderSpec } from './decoder-spec.ts';
import { gatedConfig, gatedDecoder } from './gated-decoder.ts';
import { layerTypes, namesEveryLayer } from './layer-types.ts';
import { parseConfig } from './parse-config.ts';
import { type RopeConfig, ropeOf } from './rope-config.ts';

const size = z.number().int().positive();
const positive = z.number().positive();
const rope = z.looseObject({ rope_theta: positive.nullish() });

const Gemma3Config = z
  .looseObject({
    ...gatedConfig,
    head_dim: size.default(256),
    max_position_embeddings: size.default(131_072),
    tie_word_embeddings: z.boolean().default(true),
    hidden_activation: z.literal('gelu_pytorch_tanh').default('gelu_pytorch_tanh'),
    query_pre_attn_scalar: positive.default(256),
    sliding_window: size.default(4096),
    // Which layers see all: by name, or every so many.
    ...layerTypes,
    sliding_window_pattern: size.default(6),
    // Ropes of both kinds, or, in older files, the settings of each beside the others.
    rope_parameters: z.looseObject({ full_attention: rope.nullish(), sliding_attention: rope.nullish() }).nullish(),
    rope_local_base_freq: positive.default(10_000),
    // Gemma 2's, and those of embedding models: refused rather than computed wrongly.
    attn_logit_softcapping: z.literal(null).default(null),
    final_logit_softcapping: z.literal(null).default(null),
    use_bidirectional_attention: z.literal(false).nullish(),
    attention_bias: z.boolean().default(false),
  })
  .refine(...namesEveryLayer);

/** Throws AppError when the configuration or a tensor is not what a Gemma 3 has. */
export function gemma3(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'gemma3_text', Gemma3Config);
  const { rope_parameters: given, rope_scaling: scaling, layer_types: types } = config;
  const isLocal = (layer: number) =>
    types ? types[layer] === 'sliding_attention' : (layer + 1) % config.sliding_window_pattern !== 0;
  const ropeConfig = (own: RopeConfig['rope_parameters'], theta: RopeConfig['rope_theta']): RopeConfig => ({
    max_position_embeddings: config.max_position_embeddings,
    rope_parameters: own,
    rope_theta: theta,
  });
  return gatedDecoder(
    checkpoint,
    { ...config, rope_parameters: null },
    {
      family: 'gemma3_text',
      ropes: (reader, rotaryDim) => [
        ropeOf(reader, ropeConfig({ ...given?.full_attention, ...scaling }, config.rope_theta), rotaryDim, 1_000_000),
        ropeOf(reader, ropeConfig(given?.sliding_attention, config.rope_local_base_freq), rotaryDim),
      ],
      layer: (index) => (isLocal(index) ? { rope: 1, window: config.sliding_window } : { rope: 0, window: null }),
      biases: { qkv: config.attention_bias, output: config.attention_bias },
      headNorms: true,
      outputNorms: true,
      gainsLessOne: true,
      activation: 'gelu-tanh-gated',
      embeddingScale: Math.sqrt(config.hidden_size),
      attentionScale: config.query_pre_attn_scalar ** -0.5,
    },
  );
}
