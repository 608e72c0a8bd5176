/**
 * The shape most families share: RMS norms, grouped heads, rotary positions, a gated MLP. A family says in what it differs.
 * Knows the names these weights have in Hugging Face's files; knows no ONNX and no precision.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import { CheckpointReader, stackRows } from './checkpoint-reader.ts';
import type { DecoderSpec, HeadNorm, LayerSpec, Norm, Rope } from './decoder-spec.ts';
import { requireHeads } from './parse-config.ts';
import { ropeConfig, rotaryDimOf } from './rope-config.ts';
import { tiedEmbedding } from './tied-head.ts';

const size = z.number().int().positive();

/** Fields of config.json that these families have in common. */
export const gatedConfig = {
  ...ropeConfig,
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  intermediate_size: size,
  vocab_size: size,
  rms_norm_eps: z.number().positive().default(1e-6),
  /** Not said: tied where the checkpoint has no head. */
  tie_word_embeddings: z.boolean().nullish(),
};
export type GatedConfig = z.infer<z.ZodObject<typeof gatedConfig>>;

/** In what a family differs from llama. */
export interface GatedFamily {
  readonly family: string;
  /** Given a reader and how many numbers of a head are turned. */
  readonly ropes: (reader: CheckpointReader, rotaryDim: number) => readonly Rope[];
  /** Which rope a layer uses, and how far it sees; llama: the first, everything. */
  readonly layer?: (index: number) => Pick<LayerSpec, 'rope' | 'window'>;
  /** One matrix for queries, keys and values, and one for gate and up. */
  readonly fused?: boolean;
  /** Query and key heads are normalized, each by itself. */
  readonly headNorms?: boolean;
  /** What attention and the MLP give is normalized before it is added; the MLP's first norm has another name then. */
  readonly outputNorms?: boolean;
  /** Norms are stored less one. */
  readonly gainsLessOne?: boolean;
  /** Projections that have biases; llama: none, unless its configuration says so. */
  readonly biases?: { readonly qkv?: boolean; readonly output?: boolean; readonly mlp?: boolean };
  /** A part of each head may be turned; llama: all of it. */
  readonly partlyTurned?: boolean;
  readonly activation?: 'silu-gated' | 'gelu-tanh-gated';
  readonly embeddingScale?: number;
  /** Llama: the inverse root of a head's size. */
  readonly attentionScale?: number;
}

/** Throws AppError when a tensor is not what the configuration asks for. */
export function gatedDecoder(checkpoint: Checkpoint, config: GatedConfig, family: GatedFamily): DecoderSpec {
  const { hidden_size: hidden, num_attention_heads: heads, intermediate_size: intermediate } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? hidden / heads;
  const rotaryDim = rotaryDimOf(config, headDim);
  requireHeads(checkpoint, { hidden, heads, kvHeads, headDim, rotaryDim });
  if (rotaryDim !== headDim && !family.partlyTurned) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: partial_rotary_factor turns ${rotaryDim} of ${headDim} numbers of a head; a ${family.family} turns all of them`,
    );
  }
  const reader = new CheckpointReader(checkpoint);
  const gain = (name: string, length: number) => {
    const read = reader.vector(`${name}.weight`, length);
    return family.gainsLessOne ? async () => (await read()).map((value) => value + 1) : read;
  };
  const norm = (name: string): Norm => ({ gain: gain(name, hidden), bias: null });
  const headNorm = (name: string): HeadNorm => ({ gain: gain(name, headDim), epsilon: config.rms_norm_eps });
  const tied = config.tie_word_embeddings ?? !reader.has('lm_head.weight');
  const embeddingName = 'model.embed_tokens.weight';
  const embedding = reader.matrix(embeddingName, config.vocab_size, hidden);
  const layerSpec = (index: number): LayerSpec => {
    const at = `model.layers.${index}`;
    const { qkv = false, output = false, mlp: mlpBias = false } = family.biases ?? {};
    const attention = (name: string, rows: number, columns: number, biased: boolean) =>
      reader.linear(`${at}.self_attn.${name}`, rows, columns, biased);
    const mlp = (name: string, rows: number, columns: number) =>
      reader.linear(`${at}.mlp.${name}`, rows, columns, mlpBias);
    return {
      rope: 0,
      window: null,
      ...family.layer?.(index),
      attentionNorm: norm(`${at}.input_layernorm`),
      qkv: family.fused
        ? attention('qkv_proj', (heads + 2 * kvHeads) * headDim, hidden, qkv)
        : stackRows([
            attention('q_proj', heads * headDim, hidden, qkv),
            attention('k_proj', kvHeads * headDim, hidden, qkv),
            attention('v_proj', kvHeads * headDim, hidden, qkv),
          ]),
      headNorms: family.headNorms
        ? { query: headNorm(`${at}.self_attn.q_norm`), key: headNorm(`${at}.self_attn.k_norm`) }
        : null,
      output: attention('o_proj', hidden, heads * headDim, output),
      attentionOutputNorm: family.outputNorms ? norm(`${at}.post_attention_layernorm`) : null,
      mlpNorm: norm(`${at}.${family.outputNorms ? 'pre_feedforward' : 'post_attention'}_layernorm`),
      up: family.fused
        ? mlp('gate_up_proj', 2 * intermediate, hidden)
        : stackRows([mlp('gate_proj', intermediate, hidden), mlp('up_proj', intermediate, hidden)]),
      down: mlp('down_proj', hidden, intermediate),
      downHadamard: null,
      inputHadamard: null,
      mlpOutputNorm: family.outputNorms ? norm(`${at}.post_feedforward_layernorm`) : null,
    };
  };
  return {
    family: family.family,
    hiddenSize: hidden,
    heads,
    kvHeads,
    headDim,
    rotaryDim,
    intermediateSize: intermediate,
    vocabSize: config.vocab_size,
    contextLength: config.max_position_embeddings,
    norm: { kind: 'rms', epsilon: config.rms_norm_eps },
    activation: family.activation ?? 'silu-gated',
    ropes: family.ropes(reader, rotaryDim),
    attentionScale: family.attentionScale ?? 1 / Math.sqrt(headDim),
    positions: null,
    embedding: tied ? tiedEmbedding(checkpoint, embeddingName, embedding) : embedding,
    embeddingScale: family.embeddingScale ?? 1,
    embeddingOutput: null,
    head: tied ? null : reader.linear('lm_head', config.vocab_size, hidden, false),
    headInput: null,
    finalNorm: norm('model.norm'),
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => layerSpec(index)),
  };
}
