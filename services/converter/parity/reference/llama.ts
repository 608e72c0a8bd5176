/**
 * The llama family, forward, straight from a checkpoint: what a converted graph is compared with. Shares nothing with the graph
 * builder, so that a mistake there cannot hide here. Source: transformers' modeling_llama and modeling_rope_utils.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import { addInPlace, causalAttention, gather, linear, type Matrix, matrix, rmsNorm } from './linear-algebra.ts';
import { weightsOf } from './weights.ts';

const size = z.number().int().positive();

const ropeSchema = z.object({
  rope_theta: z.number().positive().optional(),
  rope_type: z.string().optional(),
  /** The older name of rope_type. */
  type: z.string().optional(),
  factor: z.number().positive().optional(),
  low_freq_factor: z.number().positive().optional(),
  high_freq_factor: z.number().positive().optional(),
  original_max_position_embeddings: size.optional(),
});

const configSchema = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  hidden_act: z.literal('silu').default('silu'),
  rms_norm_eps: z.number().positive().default(1e-6),
  tie_word_embeddings: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  sliding_window: size.nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
});

type Config = z.infer<typeof configSchema>;

/** How a GGUF file carries Llama 3's rope scaling: a divisor for each frequency. */
const GGUF_ROPE_FACTORS = 'rope_freqs.weight';

/** Logits at every position: [tokens, vocab]. */
export async function llamaLogits(checkpoint: Checkpoint, tokens: readonly number[]): Promise<Matrix> {
  const config = configSchema.parse(checkpoint.config);
  const weights = weightsOf(checkpoint);
  const { hidden_size: hidden, num_attention_heads: heads, intermediate_size: inner, rms_norm_eps: epsilon } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? hidden / heads;
  let frequencies = rotaryFrequencies(config, headDim);
  if (weights.has(GGUF_ROPE_FACTORS)) {
    const factors = await weights.read(GGUF_ROPE_FACTORS, [headDim / 2]);
    frequencies = frequencies.map((frequency, i) => frequency / (factors[i] ?? 1));
  }

  const project = async (x: Matrix, name: string, out: number): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [out, x.width]);
    return linear(x, weight, weights.has(`${name}.bias`) ? await weights.read(`${name}.bias`, [out]) : undefined);
  };
  const norm = async (x: Matrix, name: string): Promise<Matrix> =>
    rmsNorm(x, await weights.read(`${name}.weight`, [hidden]), epsilon);
  const embedding = 'model.embed_tokens.weight';

  const x = gather(await weights.read(embedding, [config.vocab_size, hidden]), hidden, tokens);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const attentionInput = await norm(x, `${at}.input_layernorm`);
    const query = await project(attentionInput, `${at}.self_attn.q_proj`, heads * headDim);
    const key = await project(attentionInput, `${at}.self_attn.k_proj`, kvHeads * headDim);
    const value = await project(attentionInput, `${at}.self_attn.v_proj`, kvHeads * headDim);
    rotateInPlace(query, headDim, frequencies);
    rotateInPlace(key, headDim, frequencies);
    const mixed = causalAttention(query, key, value, {
      heads,
      kvHeads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      window: config.sliding_window ?? Infinity,
    });
    addInPlace(x, await project(mixed, `${at}.self_attn.o_proj`, hidden));

    const mlpInput = await norm(x, `${at}.post_attention_layernorm`);
    const gate = await project(mlpInput, `${at}.mlp.gate_proj`, inner);
    const up = await project(mlpInput, `${at}.mlp.up_proj`, inner);
    addInPlace(x, await project(gated(gate, up), `${at}.mlp.down_proj`, hidden));
  }
  const last = await norm(x, 'model.norm');
  const head = config.tie_word_embeddings || !weights.has('lm_head.weight') ? embedding : 'lm_head.weight';
  return linear(last, await weights.read(head, [config.vocab_size, hidden]));
}

/** silu(gate) * up. */
function gated(gate: Matrix, up: Matrix): Matrix {
  const result = matrix(gate.rows, gate.width);
  for (let i = 0; i < gate.data.length; i++) {
    const value = gate.data[i] ?? 0;
    result.data[i] = (value / (1 + Math.exp(-value))) * (up.data[i] ?? 0);
  }
  return result;
}

/** Turns the pairs (i, i + headDim/2) of every head by position * frequency[i]; Hugging Face's half-split order. */
function rotateInPlace(x: Matrix, headDim: number, frequencies: readonly number[]): void {
  const half = headDim / 2;
  for (let position = 0; position < x.rows; position++) {
    for (let start = position * x.width; start < (position + 1) * x.width; start += headDim) {
      for (let i = 0; i < half; i++) {
        const angle = position * (frequencies[i] ?? 0);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        const [a, b] = [x.data[start + i] ?? 0, x.data[start + half + i] ?? 0];
        x.data[start + i] = a * cos - b * sin;
        x.data[start + half + i] = b * cos + a * sin;
      }
    }
  }
}

/** Radians per position for each of the headDim/2 pairs. */
function rotaryFrequencies(config: Config, headDim: number): number[] {
  const rope = config.rope_parameters ?? config.rope_scaling ?? {};
  const theta = rope.rope_theta ?? config.rope_theta ?? 10_000;
  const plain = Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const type = rope.rope_type ?? rope.type ?? 'default';
  switch (type) {
    case 'default':
      return plain;
    case 'linear':
      return plain.map((frequency) => frequency / demanded(rope.factor, 'factor'));
    case 'llama3': {
      const factor = demanded(rope.factor, 'factor');
      const low = demanded(rope.low_freq_factor, 'low_freq_factor');
      const high = demanded(rope.high_freq_factor, 'high_freq_factor');
      const original = demanded(rope.original_max_position_embeddings, 'original_max_position_embeddings');
      return plain.map((frequency) => {
        // Turns made within the original context: many are left alone, few are slowed, in between is blended.
        const turns = (original * frequency) / (2 * Math.PI);
        const keep = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return (keep + (1 - keep) / factor) * frequency;
      });
    }
    default:
      throw new AppError(
        'unsupported_source',
        `config.json: rope type "${type}" is not supported; known are default, linear and llama3.`,
      );
  }
}

function demanded(value: number | undefined, name: string): number {
  if (value === undefined) {
    throw new AppError('invalid_source', `config.json: the rope scaling has no ${name}; add it or remove the scaling.`);
  }
  return value;
}
