/**
 * Llama and its relatives with RMS norms and a gated MLP, forward, straight from a checkpoint: what a converted graph is compared with.
 * Shares nothing with the graph builder, so that a mistake there cannot hide here. Sources: transformers' modeling_llama, _mistral,
 * _qwen2, _qwen3, _phi3 and _gemma3.
 */
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import {
  addInPlace,
  causalAttention,
  columns,
  gather,
  gelu,
  linear,
  type Matrix,
  matrix,
  rmsNorm,
  scaleInPlace,
  silu,
} from './linear-algebra.ts';
import { type RopeSettings, ropeSchema, rotateInPlace, type Turning, turningOf } from './rotary.ts';
import { weightsOf } from './weights.ts';

const size = z.number().int().positive();

const configSchema = z.object({
  model_type: z.enum(['llama', 'mistral', 'qwen2', 'qwen3', 'phi3', 'gemma3_text']),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size.nullish(),
  original_max_position_embeddings: size.nullish(),
  rms_norm_eps: z.number().positive().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().default(false),
  max_window_layers: z.number().int().default(28),
  layer_types: z.array(z.string()).nullish(),
  sliding_window_pattern: size.default(6),
  query_pre_attn_scalar: z.number().positive().default(256),
  partial_rotary_factor: z.number().nullish(),
  rope_theta: z.number().positive().nullish(),
  rope_local_base_freq: z.number().positive().default(10_000),
  rope_scaling: ropeSchema.nullish(),
  /** Gemma's has one for each kind of layer. */
  rope_parameters: ropeSchema
    .extend({ full_attention: ropeSchema.nullish(), sliding_attention: ropeSchema.nullish() })
    .nullish(),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
});

type Config = z.infer<typeof configSchema>;

/** max_position_embeddings where files leave it out. */
const LONGEST: Readonly<Record<Config['model_type'], number>> = {
  llama: 2048,
  mistral: 131_072,
  qwen2: 32_768,
  qwen3: 32_768,
  phi3: 4096,
  gemma3_text: 131_072,
};

/** Logits at every position: [tokens, vocab]. `served`: positions of the version that is judged; null: all the model has. */
export async function llamaLogits(
  checkpoint: Checkpoint,
  tokens: readonly number[],
  served: number | null,
): Promise<Matrix> {
  const config = configSchema.parse(checkpoint.config);
  const weights = weightsOf(checkpoint);
  const { hidden_size: hidden, num_attention_heads: heads, intermediate_size: inner } = config;
  const epsilon = config.rms_norm_eps ?? (config.model_type === 'phi3' ? 1e-5 : 1e-6);
  const gemma = config.model_type === 'gemma3_text';
  const kvHeads = config.num_key_value_heads ?? heads;
  const headDim = config.head_dim ?? { gemma3_text: 256, qwen3: 128 }[String(config.model_type)] ?? hidden / heads;
  const longest = config.max_position_embeddings ?? LONGEST[config.model_type];
  const lengths = { longest, served: served ?? longest };
  const turning = async (local: boolean): Promise<Turning> => {
    const { theta, share, ...rope } = ropeSettings(config, local);
    return turningOf(rope, theta, Math.floor(headDim * share), lengths, weights);
  };
  const turnings = { local: await turning(true), global: await turning(false) };

  const project = async (x: Matrix, name: string, out: number): Promise<Matrix> => {
    const weight = await weights.read(`${name}.weight`, [out, x.width]);
    const biased = hasBias(config, name) || weights.has(`${name}.bias`);
    return linear(x, weight, biased ? await weights.read(`${name}.bias`, [out]) : undefined);
  };
  const gain = async (name: string, width: number): Promise<Float32Array> => {
    const stored = await weights.read(`${name}.weight`, [width]);
    return gemma ? stored.map((value) => value + 1) : stored;
  };
  const norm = async (x: Matrix, name: string): Promise<Matrix> => rmsNorm(x, await gain(name, hidden), epsilon);
  /** Each head is a row of its own. */
  const headNorm = async (x: Matrix, name: string): Promise<Matrix> => {
    const rows: Matrix = { rows: (x.rows * x.width) / headDim, width: headDim, data: x.data };
    return { ...x, data: rmsNorm(rows, await gain(name, headDim), epsilon).data };
  };
  /** Several projections of one input: stored each by itself, or (phi3) below each other as one. */
  const projectAll = async (x: Matrix, at: string, fused: string, parts: readonly [string, number][]) => {
    if (config.model_type !== 'phi3') return Promise.all(parts.map(([name, out]) => project(x, `${at}.${name}`, out)));
    const all = await project(
      x,
      `${at}.${fused}`,
      parts.reduce((sum, [, out]) => sum + out, 0),
    );
    let from = 0;
    return parts.map(([, out]) => {
      from += out;
      return columns(all, from - out, out);
    });
  };
  const empty = matrix(0, 0);
  const embedding = 'model.embed_tokens.weight';

  const x = gather(await weights.read(embedding, [config.vocab_size, hidden]), hidden, tokens);
  if (gemma) scaleInPlace(x, Math.fround(Math.sqrt(hidden)));
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const local = isLocal(config, layer);
    let [query = empty, key = empty, value = empty] = await projectAll(
      await norm(x, `${at}.input_layernorm`),
      `${at}.self_attn`,
      'qkv_proj',
      [
        ['q_proj', heads * headDim],
        ['k_proj', kvHeads * headDim],
        ['v_proj', kvHeads * headDim],
      ],
    );
    if (gemma || config.model_type === 'qwen3') {
      query = await headNorm(query, `${at}.self_attn.q_norm`);
      key = await headNorm(key, `${at}.self_attn.k_norm`);
    }
    for (const turned of [query, key]) rotateInPlace(turned, headDim, local ? turnings.local : turnings.global);
    const mixed = causalAttention(query, key, value, {
      heads,
      kvHeads,
      headDim,
      scale: 1 / Math.sqrt(gemma ? config.query_pre_attn_scalar : headDim),
      window: local ? (config.sliding_window ?? 4096) : Infinity,
    });
    const attended = await project(mixed, `${at}.self_attn.o_proj`, hidden);
    addInPlace(x, gemma ? await norm(attended, `${at}.post_attention_layernorm`) : attended);

    const mlpInput = await norm(x, `${at}.${gemma ? 'pre_feedforward' : 'post_attention'}_layernorm`);
    const [gate = empty, up = empty] = await projectAll(mlpInput, `${at}.mlp`, 'gate_up_proj', [
      ['gate_proj', inner],
      ['up_proj', inner],
    ]);
    const between = matrix(up.rows, up.width);
    up.data.forEach((own, i) => {
      between.data[i] = (gemma ? gelu : silu)(gate.data[i] as number) * own;
    });
    const result = await project(between, `${at}.mlp.down_proj`, hidden);
    addInPlace(x, gemma ? await norm(result, `${at}.post_feedforward_layernorm`) : result);
  }
  const last = await norm(x, 'model.norm');
  const tied = config.tie_word_embeddings ?? (gemma || !weights.has('lm_head.weight'));
  if (!tied) return project(last, 'lm_head', config.vocab_size);
  return linear(last, await weights.read(embedding, [config.vocab_size, hidden]));
}

/** Whether a projection's bias must be there. */
function hasBias(config: Config, name: string): boolean {
  switch (config.model_type) {
    case 'llama':
      return (name.includes('.self_attn.') && config.attention_bias) || (name.includes('.mlp.') && config.mlp_bias);
    case 'qwen2':
      return /\.[qkv]_proj$/.test(name);
    case 'qwen3':
    case 'gemma3_text':
      return name.includes('.self_attn.') && config.attention_bias;
    default:
      return false;
  }
}

/** Whether a layer sees only the last `sliding_window` positions. */
function isLocal(config: Config, layer: number): boolean {
  const named = config.layer_types?.[layer];
  switch (config.model_type) {
    case 'llama':
      return false;
    case 'mistral':
      return config.sliding_window !== null && named !== 'full_attention';
    case 'phi3':
      return typeof config.sliding_window === 'number';
    case 'qwen2':
    case 'qwen3':
      return config.use_sliding_window && (named ? named === 'sliding_attention' : layer >= config.max_window_layers);
    case 'gemma3_text':
      return named ? named === 'sliding_attention' : (layer + 1) % config.sliding_window_pattern !== 0;
  }
}

/** Where a configuration of any age says how heads turn. Gemma's local layers turn otherwise than its global ones. */
function ropeSettings(config: Config, local: boolean): RopeSettings & { theta: number; share: number } {
  const { rope_parameters: given, rope_scaling: older } = config;
  if (config.model_type === 'gemma3_text') {
    const own = local ? (given?.sliding_attention ?? {}) : { ...given?.full_attention, ...older };
    const theta = local ? config.rope_local_base_freq : (config.rope_theta ?? 1_000_000);
    return { ...own, theta: own.rope_theta ?? theta, share: 1 };
  }
  const rope = older ?? given ?? {};
  const common = { ...rope, theta: rope.rope_theta ?? config.rope_theta ?? 10_000, share: 1 };
  const original = config.original_max_position_embeddings;
  if (config.model_type !== 'phi3') {
    return { ...common, original_max_position_embeddings: original ?? rope.original_max_position_embeddings };
  }
  // Phi-3's first files called longrope by other names.
  const renamed = [rope.type, rope.rope_type].includes('yarn') ? { rope_type: 'longrope' } : {};
  return {
    ...common,
    ...renamed,
    original_max_position_embeddings: original ?? 4096,
    share: rope.partial_rotary_factor ?? config.partial_rotary_factor ?? 1,
  };
}
