/**
 * Llama and what shares its shape (SmolLM, TinyLlama): RMS norms, grouped heads, rotary positions, a gated MLP.
 * Owns the family's names and its rotary scalings; knows no ONNX and no precision.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { Checkpoint } from '../checkpoint.ts';
import { CheckpointReader, stackRows } from './checkpoint-reader.ts';
import type { DecoderSpec } from './decoder-spec.ts';

const size = z.number().int().positive();

const RopeScaling = z.union([
  z.looseObject({ rope_type: z.literal('default') }),
  z.looseObject({ rope_type: z.literal('linear'), factor: z.number().positive() }),
  z.looseObject({
    rope_type: z.literal('llama3'),
    factor: z.number().positive(),
    low_freq_factor: z.number().positive(),
    high_freq_factor: z.number().positive(),
    original_max_position_embeddings: size,
  }),
]);
type RopeScaling = z.infer<typeof RopeScaling>;

const LlamaConfig = z.looseObject({
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  intermediate_size: size,
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  rope_theta: z.number().positive().optional(),
  // transformers 5 moved theta and scaling into one object; older files have them apart, with `type` for `rope_type`.
  rope_parameters: z.looseObject({ rope_theta: z.number().positive().optional() }).nullish(),
  rope_scaling: z.looseObject({}).nullish(),
  tie_word_embeddings: z.boolean().default(false),
  hidden_act: z.literal('silu').default('silu'),
});

/** Throws AppError when the configuration or a tensor is not what a llama has. */
export function llama(checkpoint: Checkpoint): DecoderSpec {
  const parsed = LlamaConfig.safeParse(checkpoint.config);
  if (!parsed.success) {
    throw new AppError(
      'invalid_source',
      `${checkpoint.label}: config.json is not that of a llama model: ${describeIssues(parsed.error)}`,
    );
  }
  const config = parsed.data;
  const {
    hidden_size: hidden,
    num_attention_heads: heads,
    intermediate_size: intermediate,
    vocab_size: vocab,
  } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? hidden / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0 || heads % kvHeads !== 0) {
    throw new AppError(
      'invalid_source',
      `${checkpoint.label}: ${heads} heads of ${headDim} over ${kvHeads} key/value heads do not fit a hidden size of ${hidden}`,
    );
  }
  const reader = new CheckpointReader(checkpoint);
  const norm = (name: string) => ({ gain: reader.vector(`${name}.weight`, hidden), bias: null });
  // Some files say they are tied and carry a head all the same, others leave it out without saying so.
  const tied = config.tie_word_embeddings || !reader.has('lm_head.weight');
  const contextLength = config.max_position_embeddings;
  return {
    family: 'llama',
    hiddenSize: hidden,
    heads,
    kvHeads,
    headDim,
    intermediateSize: intermediate,
    vocabSize: vocab,
    contextLength,
    norm: { kind: 'rms', epsilon: config.rms_norm_eps },
    activation: 'silu-gated',
    rope: async (positions) => ropeTables(await ropeFrequencies(checkpoint, reader, config, headDim), positions),
    attentionScale: 1 / Math.sqrt(headDim),
    positions: null,
    embedding: reader.matrix('model.embed_tokens.weight', vocab, hidden),
    head: tied ? null : reader.linear('lm_head', vocab, hidden),
    embeddingOutput: null,
    headInput: null,
    finalNorm: norm('model.norm'),
    layers: Array.from({ length: config.num_hidden_layers }, (_, index) => {
      const layer = `model.layers.${index}`;
      const attention = (name: string, rows: number, columns: number) =>
        reader.linear(`${layer}.self_attn.${name}`, rows, columns);
      const mlp = (name: string, rows: number, columns: number) => reader.linear(`${layer}.mlp.${name}`, rows, columns);
      return {
        attentionNorm: norm(`${layer}.input_layernorm`),
        qkv: stackRows([
          attention('q_proj', heads * headDim, hidden),
          attention('k_proj', kvHeads * headDim, hidden),
          attention('v_proj', kvHeads * headDim, hidden),
        ]),
        output: attention('o_proj', hidden, heads * headDim),
        mlpNorm: norm(`${layer}.post_attention_layernorm`),
        up: stackRows([mlp('gate_proj', intermediate, hidden), mlp('up_proj', intermediate, hidden)]),
        down: mlp('down_proj', hidden, intermediate),
        downHadamard: null,
      };
    }),
  };
}

/** Radians per position of each rotary pair, scaled as the configuration says. */
async function ropeFrequencies(
  checkpoint: Checkpoint,
  reader: CheckpointReader,
  config: z.infer<typeof LlamaConfig>,
  headDim: number,
): Promise<Float64Array> {
  const theta = config.rope_parameters?.rope_theta ?? config.rope_theta ?? 10000;
  const frequencies = Float64Array.from({ length: headDim / 2 }, (_, pair) => theta ** ((-2 * pair) / headDim));
  // GGUF files of Llama 3 carry the scaling as one divisor per pair.
  if (reader.has('rope_freqs.weight')) {
    const divisors = await reader.tensor('rope_freqs.weight', [headDim / 2]).read();
    return frequencies.map((frequency, pair) => frequency / (divisors[pair] as number));
  }
  const scaling = ropeScaling(checkpoint, config);
  switch (scaling.rope_type) {
    case 'default':
      return frequencies;
    case 'linear':
      return frequencies.map((frequency) => frequency / scaling.factor);
    case 'llama3':
      return frequencies.map((frequency) => llama3Frequency(frequency, scaling));
  }
}

function ropeScaling(checkpoint: Checkpoint, config: z.infer<typeof LlamaConfig>): RopeScaling {
  const raw: Record<string, unknown> | undefined = config.rope_parameters ?? config.rope_scaling ?? undefined;
  if (!raw) return { rope_type: 'default' };
  const named = { ...raw, rope_type: raw.rope_type ?? raw.type ?? 'default' };
  const parsed = RopeScaling.safeParse(named);
  if (!parsed.success) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: rotary scaling ${JSON.stringify(named)} is not supported; default, linear and llama3 are (architectures/llama.ts)`,
    );
  }
  return parsed.data;
}

/** Llama 3.1's scaling: long waves are slowed by `factor`, short ones left alone, between the two a blend. */
function llama3Frequency(frequency: number, scaling: Extract<RopeScaling, { rope_type: 'llama3' }>): number {
  const wavelength = (2 * Math.PI) / frequency;
  const original = scaling.original_max_position_embeddings;
  if (wavelength > original / scaling.low_freq_factor) return frequency / scaling.factor;
  if (wavelength < original / scaling.high_freq_factor) return frequency;
  const smooth =
    (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
  return ((1 - smooth) * frequency) / scaling.factor + smooth * frequency;
}

function ropeTables(frequencies: Float64Array, positions: number): { cos: Float32Array; sin: Float32Array } {
  const half = frequencies.length;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let position = 0; position < positions; position++) {
    for (const [pair, frequency] of frequencies.entries()) {
      cos[position * half + pair] = Math.cos(position * frequency);
      sin[position * half + pair] = Math.sin(position * frequency);
    }
  }
  return { cos, sin };
}
