/**
 * Phi-1, 1.5 and 2, forward, straight from a checkpoint: what a converted graph is compared with. Shares nothing with the graph builder,
 * so that a mistake there cannot hide here. Source: transformers' modeling_phi.
 */
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import { addInPlace, causalAttention, gather, gelu, layerNorm, linear, type Matrix } from './linear-algebra.ts';
import { ropeSchema, rotateInPlace, turningOf } from './rotary.ts';
import { weightsOf } from './weights.ts';

const size = z.number().int().positive();

const configSchema = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  max_position_embeddings: size.default(2048),
  layer_norm_eps: z.number().positive().default(1e-5),
  tie_word_embeddings: z.boolean().default(false),
  partial_rotary_factor: z.number().positive().default(0.5),
  rope_theta: z.number().positive().nullish(),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: ropeSchema.nullish(),
});

/** Logits at every position: [tokens, vocab]. `served`: positions of the version that is judged; null: all the model has. */
export async function phiLogits(
  checkpoint: Checkpoint,
  tokens: readonly number[],
  served: number | null,
): Promise<Matrix> {
  const config = configSchema.parse(checkpoint.config);
  const weights = weightsOf(checkpoint);
  const { hidden_size: hidden, num_attention_heads: heads, vocab_size: vocab } = config;
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = hidden / heads;
  const rope = config.rope_scaling ?? config.rope_parameters ?? {};
  const turning = await turningOf(
    rope,
    rope.rope_theta ?? config.rope_theta ?? 10_000,
    Math.floor(headDim * (rope.partial_rotary_factor ?? config.partial_rotary_factor)),
    { longest: config.max_position_embeddings, served: served ?? config.max_position_embeddings },
    weights,
  );
  const norm = async (x: Matrix, name: string): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [hidden]);
    return layerNorm(x, weight, await weights.read(`${name}.bias`, [hidden]), config.layer_norm_eps);
  };
  const project = async (x: Matrix, name: string, out: number): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [out, x.width]);
    return linear(x, weight, await weights.read(`${name}.bias`, [out]));
  };

  const x = gather(await weights.read('model.embed_tokens.weight', [vocab, hidden]), hidden, tokens);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    // Attention and MLP both read this, and both are added to the same stream.
    const input = await norm(x, `${at}.input_layernorm`);
    const query = await project(input, `${at}.self_attn.q_proj`, heads * headDim);
    const key = await project(input, `${at}.self_attn.k_proj`, kvHeads * headDim);
    const value = await project(input, `${at}.self_attn.v_proj`, kvHeads * headDim);
    rotateInPlace(query, headDim, turning);
    rotateInPlace(key, headDim, turning);
    const shape = { heads, kvHeads, headDim, scale: 1 / Math.sqrt(headDim), window: Infinity };
    const mixed = causalAttention(query, key, value, shape);
    addInPlace(x, await project(mixed, `${at}.self_attn.dense`, hidden));

    const between = await project(input, `${at}.mlp.fc1`, config.intermediate_size);
    between.data.forEach((own, i) => {
      between.data[i] = gelu(own);
    });
    addInPlace(x, await project(between, `${at}.mlp.fc2`, hidden));
  }
  const last = await norm(x, 'model.final_layernorm');
  const head = config.tie_word_embeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return linear(last, await weights.read(head, [vocab, hidden]), await weights.read('lm_head.bias', [vocab]));
}
