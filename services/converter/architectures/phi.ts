/**
 * Phi-1, 1.5 and 2: attention and MLP read the same layer norm and are added together; biases everywhere, a part of each head turned.
 * Owns the family's names; knows no ONNX and no precision.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import { CheckpointReader, stackRows } from './checkpoint-reader.ts';
import type { DecoderSpec, Norm } from './decoder-spec.ts';
import { parseConfig, requireHeads } from './parse-config.ts';
import { ropeConfig, ropeOf, rotaryDimOf } from './rope-config.ts';
import { tiedEmbedding } from './tied-head.ts';

const size = z.number().int().positive();

const PhiConfig = z.looseObject({
  ...ropeConfig,
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  intermediate_size: size,
  vocab_size: size,
  layer_norm_eps: z.number().positive().default(1e-5),
  tie_word_embeddings: z.boolean().default(false),
  // Two names of the same approximation.
  hidden_act: z.enum(['gelu_new', 'gelu_pytorch_tanh']).default('gelu_new'),
  // No published model has it: refused rather than computed wrongly.
  qk_layernorm: z.literal(false).default(false),
});

/** Throws AppError when the configuration or a tensor is not what a Phi has. */
export function phi(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'phi', PhiConfig);
  const { hidden_size: hidden, num_attention_heads: heads, intermediate_size: intermediate } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = hidden / heads;
  const rotaryDim = rotaryDimOf(config, headDim, 0.5);
  requireHeads(checkpoint, { hidden, heads, kvHeads, headDim, rotaryDim });
  const reader = new CheckpointReader(checkpoint);
  const norm = (name: string): Norm => ({
    gain: reader.vector(`${name}.weight`, hidden),
    bias: reader.vector(`${name}.bias`, hidden),
  });
  const embeddingName = 'model.embed_tokens.weight';
  const stored = reader.matrix(embeddingName, config.vocab_size, hidden);
  const embedding = config.tie_word_embeddings ? tiedEmbedding(checkpoint, embeddingName, stored) : stored;
  // The head has a bias even where its weights are the embedding's, which then are stored twice.
  const head = config.tie_word_embeddings
    ? { weight: embedding, bias: reader.vector('lm_head.bias', config.vocab_size) }
    : reader.linear('lm_head', config.vocab_size, hidden, true);
  return {
    family: 'phi',
    hiddenSize: hidden,
    heads,
    kvHeads,
    headDim,
    rotaryDim,
    intermediateSize: intermediate,
    vocabSize: config.vocab_size,
    contextLength: config.max_position_embeddings,
    norm: { kind: 'layer', epsilon: config.layer_norm_eps },
    activation: 'gelu-tanh',
    ropes: [ropeOf(reader, config, rotaryDim)],
    attentionScale: 1 / Math.sqrt(headDim),
    positions: null,
    embedding,
    embeddingScale: 1,
    embeddingOutput: null,
    head,
    headInput: null,
    finalNorm: norm('model.final_layernorm'),
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => {
      const at = `model.layers.${index}`;
      const attention = (name: string, rows: number, columns: number) =>
        reader.linear(`${at}.self_attn.${name}`, rows, columns, true);
      return {
        attentionNorm: norm(`${at}.input_layernorm`),
        qkv: stackRows([
          attention('q_proj', heads * headDim, hidden),
          attention('k_proj', kvHeads * headDim, hidden),
          attention('v_proj', kvHeads * headDim, hidden),
        ]),
        headNorms: null,
        rope: 0,
        window: null,
        output: attention('dense', hidden, heads * headDim),
        attentionOutputNorm: null,
        mlpNorm: null,
        up: reader.linear(`${at}.mlp.fc1`, intermediate, hidden, true),
        down: reader.linear(`${at}.mlp.fc2`, hidden, intermediate, true),
        downHadamard: null,
        inputHadamard: null,
        mlpOutputNorm: null,
      };
    }),
  };
}
