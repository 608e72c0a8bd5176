/**
 * GPT-2, forward, straight from a checkpoint: what a converted graph is compared with. Shares nothing with the graph builder, so
 * that a mistake there cannot hide here. Source: transformers' modeling_gpt2.
 */
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import {
  addInPlace,
  causalAttention,
  columns,
  conv1d,
  gather,
  gelu,
  layerNorm,
  linear,
  type Matrix,
} from './linear-algebra.ts';
import { weightsOf } from './weights.ts';

const size = z.number().int().positive();

const configSchema = z.object({
  vocab_size: size,
  n_embd: size,
  n_layer: size,
  n_head: size,
  n_inner: size.nullish(),
  n_positions: size.default(1024),
  activation_function: z.enum(['gelu_new', 'gelu_pytorch_tanh']).default('gelu_new'),
  layer_norm_epsilon: z.number().positive().default(1e-5),
  tie_word_embeddings: z.boolean().default(true),
  scale_attn_weights: z.literal(true).default(true),
  scale_attn_by_inverse_layer_idx: z.literal(false).default(false),
});

/** Logits at every position: [tokens, vocab]. */
export async function gpt2Logits(checkpoint: Checkpoint, tokens: readonly number[]): Promise<Matrix> {
  const config = configSchema.parse(checkpoint.config);
  const weights = weightsOf(checkpoint);
  const { n_embd: hidden, n_head: heads, vocab_size: vocab } = config;
  const inner = config.n_inner ?? 4 * hidden;
  const headDim = hidden / heads;
  // Saved from GPT2Model the names are bare, from GPT2LMHeadModel they are prefixed.
  const prefix = weights.has('transformer.wte.weight') ? 'transformer.' : '';

  const norm = async (x: Matrix, name: string): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [hidden]);
    return layerNorm(x, weight, await weights.read(`${name}.bias`, [hidden]), config.layer_norm_epsilon);
  };
  const project = async (x: Matrix, name: string, out: number): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [x.width, out]);
    return conv1d(x, weight, await weights.read(`${name}.bias`, [out]));
  };

  const x = gather(await weights.read(`${prefix}wte.weight`, [vocab, hidden]), hidden, tokens);
  const positions = await weights.read(`${prefix}wpe.weight`, [config.n_positions, hidden]);
  addInPlace(
    x,
    gather(
      positions,
      hidden,
      tokens.map((_, position) => position),
    ),
  );
  for (let layer = 0; layer < config.n_layer; layer++) {
    const at = `${prefix}h.${layer}`;
    const packed = await project(await norm(x, `${at}.ln_1`), `${at}.attn.c_attn`, 3 * hidden);
    const part = (index: number) => columns(packed, index * hidden, hidden);
    const mixed = causalAttention(part(0), part(1), part(2), {
      heads,
      kvHeads: heads,
      headDim,
      scale: 1 / Math.sqrt(headDim),
      window: Infinity,
    });
    addInPlace(x, await project(mixed, `${at}.attn.c_proj`, hidden));

    const between = await project(await norm(x, `${at}.ln_2`), `${at}.mlp.c_fc`, inner);
    between.data.forEach((own, i) => {
      between.data[i] = gelu(own);
    });
    addInPlace(x, await project(between, `${at}.mlp.c_proj`, hidden));
  }
  const last = await norm(x, `${prefix}ln_f`);
  const head = config.tie_word_embeddings ? `${prefix}wte.weight` : 'lm_head.weight';
  return linear(last, await weights.read(head, [vocab, hidden]));
}
