/**
 * GPT-2 and what shares its shape (DialoGPT): layer norms with biases, learned positions, a GELU MLP, weights stored [in, out].
 * Owns the family's names; knows no ONNX and no precision.
 */
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import { transposed } from '../readers/rearrange.ts';
import { asMatrix, CheckpointReader } from './checkpoint-reader.ts';
import type { DecoderSpec, Linear, Norm } from './decoder-spec.ts';
import { parseConfig, requireHeads } from './parse-config.ts';
import { tiedEmbedding } from './tied-head.ts';

const size = z.number().int().positive();

const Gpt2Config = z.looseObject({
  n_embd: size,
  n_layer: size,
  n_head: size,
  n_inner: size.nullish(),
  n_positions: size.default(1024),
  vocab_size: size,
  layer_norm_epsilon: z.number().positive().default(1e-5),
  // Two names of the same approximation.
  activation_function: z.enum(['gelu_new', 'gelu_pytorch_tanh']).default('gelu_new'),
  tie_word_embeddings: z.boolean().default(true),
  // Rare variants of the attention's scale: refused rather than computed wrongly.
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
});

/** Throws AppError when the configuration or a tensor is not what a GPT-2 has. */
export function gpt2(checkpoint: Checkpoint): DecoderSpec {
  const config = parseConfig(checkpoint, 'gpt2', Gpt2Config);
  const { n_embd: hidden, n_head: heads, n_positions: contextLength, vocab_size: vocab } = config;
  const intermediate = config.n_inner ?? 4 * hidden;
  const headDim = hidden / heads;
  // No head is turned: any size will do.
  requireHeads(checkpoint, { hidden, heads, kvHeads: heads, headDim, rotaryDim: 2 });
  // A language model's names are prefixed, those saved from the bare transformer are not; a head never is.
  const prefix = checkpoint.tensors.has('transformer.wte.weight') ? 'transformer.' : '';
  const reader = new CheckpointReader(checkpoint, prefix);
  const embedding = reader.matrix('wte.weight', vocab, hidden);
  const norm = (name: string): Norm => ({
    gain: reader.vector(`${name}.weight`, hidden),
    bias: reader.vector(`${name}.bias`, hidden),
  });
  return {
    family: 'gpt2',
    hiddenSize: hidden,
    heads,
    kvHeads: heads,
    headDim,
    rotaryDim: headDim,
    intermediateSize: intermediate,
    vocabSize: vocab,
    contextLength,
    norm: { kind: 'layer', epsilon: config.layer_norm_epsilon },
    activation: 'gelu-tanh',
    ropes: [],
    attentionScale: 1 / Math.sqrt(headDim),
    positions: reader.matrix('wpe.weight', contextLength, hidden),
    embedding: config.tie_word_embeddings ? tiedEmbedding(checkpoint, `${prefix}wte.weight`, embedding) : embedding,
    embeddingScale: 1,
    embeddingOutput: null,
    headInput: null,
    head: config.tie_word_embeddings ? null : new CheckpointReader(checkpoint).linear('lm_head', vocab, hidden, false),
    finalNorm: norm('ln_f'),
    layers: Array.from({ length: config.n_layer }, (_, index) => {
      const layer = `h.${index}`;
      return {
        attentionNorm: norm(`${layer}.ln_1`),
        headNorms: null,
        rope: null,
        window: null,
        qkv: conv1d(reader, `${layer}.attn.c_attn`, 3 * hidden, hidden),
        output: conv1d(reader, `${layer}.attn.c_proj`, hidden, hidden),
        attentionOutputNorm: null,
        mlpNorm: norm(`${layer}.ln_2`),
        up: conv1d(reader, `${layer}.mlp.c_fc`, intermediate, hidden),
        down: conv1d(reader, `${layer}.mlp.c_proj`, hidden, intermediate),
        downHadamard: null,
        inputHadamard: null,
        mlpOutputNorm: null,
      };
    }),
  };
}

/** A linear layer whose weight is stored [in, out]. */
function conv1d(reader: CheckpointReader, name: string, rows: number, columns: number): Linear {
  const stored = reader.tensor(`${name}.weight`, [columns, rows]);
  return {
    // GGUF files hold it [out, in]: then it is taken as it lies there, with its 4-bit blocks.
    weight: stored.transposed
      ? asMatrix(stored.transposed, rows, columns)
      : { rows, columns, read: async () => transposed(await stored.read(), columns, rows) },
    bias: reader.vector(`${name}.bias`, rows),
  };
}
