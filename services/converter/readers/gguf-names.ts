/**
 * GGUF's words to Hugging Face's: tensor names and configuration of llama and gpt2. An architecture that is not here keeps its own
 * names; the converter then refuses it by its model_type. Names: llama.cpp's gguf-py/gguf/tensor_mapping.py.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GgufHeader, GgufValue } from './gguf.ts';

/** What must be done to a tensor's rows or axes to have Hugging Face's. */
export type Rearrangement = 'none' | 'rotary-query' | 'rotary-key' | 'transpose';

/** Maps: a file may name anything, what every object inherits as well. */
type Names = ReadonlyMap<string, string>;

const LLAMA_LAYER: Names = new Map(
  Object.entries({
    attn_norm: 'input_layernorm',
    attn_q: 'self_attn.q_proj',
    attn_k: 'self_attn.k_proj',
    attn_v: 'self_attn.v_proj',
    attn_output: 'self_attn.o_proj',
    ffn_norm: 'post_attention_layernorm',
    ffn_gate: 'mlp.gate_proj',
    ffn_up: 'mlp.up_proj',
    ffn_down: 'mlp.down_proj',
  }),
);

const GPT2_LAYER: Names = new Map(
  Object.entries({
    attn_norm: 'ln_1',
    attn_qkv: 'attn.c_attn',
    attn_output: 'attn.c_proj',
    ffn_norm: 'ln_2',
    ffn_up: 'mlp.c_fc',
    ffn_down: 'mlp.c_proj',
  }),
);

interface Naming {
  readonly top: Names;
  readonly layers: string;
  readonly layer: Names;
}

const LLAMA: Naming = {
  top: new Map([
    ['token_embd', 'model.embed_tokens'],
    ['output_norm', 'model.norm'],
    ['output', 'lm_head'],
  ]),
  layers: 'model.layers',
  layer: LLAMA_LAYER,
};

const GPT2: Naming = {
  top: new Map([
    ['token_embd', 'transformer.wte'],
    ['position_embd', 'transformer.wpe'],
    ['output_norm', 'transformer.ln_f'],
    ['output', 'lm_head'],
  ]),
  layers: 'transformer.h',
  layer: GPT2_LAYER,
};

const NAMINGS: ReadonlyMap<string, Naming> = new Map([
  ['llama', LLAMA],
  ['gpt2', GPT2],
]);

export function huggingFaceName(architecture: string, name: string): { name: string; rearrangement: Rearrangement } {
  const naming = NAMINGS.get(architecture);
  const parts = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name);
  const [, layer, module = '', kind] = parts ?? [];
  const mapped = layer === undefined ? naming?.top.get(module) : naming?.layer.get(module);
  if (!naming || !mapped) return { name, rearrangement: 'none' };
  return {
    name: layer === undefined ? `${mapped}.${kind}` : `${naming.layers}.${layer}.${mapped}.${kind}`,
    rearrangement: rearrangement(architecture, module, kind),
  };
}

function rearrangement(architecture: string, module: string, kind: string | undefined): Rearrangement {
  // llama.cpp's converter interleaves the rows of q and k (weights and biases) for its rotary kernel.
  if (architecture === 'llama' && module === 'attn_q') return 'rotary-query';
  if (architecture === 'llama' && module === 'attn_k') return 'rotary-key';
  // GPT-2's Conv1D holds [in, out] in Hugging Face's files; GGUF holds [out, in] like every other linear layer.
  const convolution = ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'].includes(module);
  return architecture === 'gpt2' && convolution && kind === 'weight' ? 'transpose' : 'none';
}

/** A Hugging Face config.json from the metadata and the tensors that are there. Values that are missing stay undefined. */
export function huggingFaceConfig(header: GgufHeader): Record<string, unknown> {
  const architecture = text(header.metadata.get('general.architecture')) ?? '';
  const key = (name: string) => number(header.metadata.get(`${architecture}.${name}`));
  const shapes = new Map(header.tensors.map((tensor) => [tensor.name, tensor.shape]));
  const common = {
    vocab_size: shapes.get('token_embd.weight')?.[0] ?? key('vocab_size'),
    tie_word_embeddings: !shapes.has('output.weight'),
    bos_token_id: number(header.metadata.get('tokenizer.ggml.bos_token_id')),
    eos_token_id: number(header.metadata.get('tokenizer.ggml.eos_token_id')),
  };
  if (architecture === 'gpt2') {
    return {
      model_type: 'gpt2',
      n_embd: key('embedding_length'),
      n_layer: key('block_count'),
      n_head: key('attention.head_count'),
      n_positions: key('context_length'),
      n_inner: key('feed_forward_length'),
      layer_norm_epsilon: key('attention.layer_norm_epsilon'),
      activation_function: 'gelu_new',
      ...common,
    };
  }
  const hidden = key('embedding_length');
  const heads = key('attention.head_count');
  const experts = key('expert_count') ?? 0;
  const headDim = key('attention.key_length') ?? (hidden !== undefined && heads ? hidden / heads : undefined);
  const rotated = key('rope.dimension_count') ?? headDim;
  if (architecture === 'llama' && headDim !== undefined && rotated !== headDim) {
    throw new AppError(
      'unsupported_source',
      `llama.rope.dimension_count is ${rotated} where a head has ${headDim}: partly rotated heads are not read`,
    );
  }
  return {
    // A mixture of experts calls itself llama in GGUF.
    model_type: architecture === 'llama' && experts > 0 ? 'mixtral' : architecture,
    hidden_size: hidden,
    num_hidden_layers: key('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: key('attention.head_count_kv') ?? heads,
    head_dim: headDim,
    intermediate_size: key('feed_forward_length'),
    max_position_embeddings: key('context_length'),
    rms_norm_eps: key('attention.layer_norm_rms_epsilon'),
    rope_theta: key('rope.freq_base') ?? 10_000,
    rope_scaling: ropeScaling(header, architecture),
    attention_bias: shapes.has('blk.0.attn_q.bias'),
    mlp_bias: shapes.has('blk.0.ffn_gate.bias'),
    hidden_act: 'silu',
    ...common,
  };
}

/**
 * Linear and YaRN scaling are said in the metadata. Llama 3's scaling is not: its factors are the tensor `rope_freqs.weight`
 * [head_dim/2], which stays among the tensors under that name: frequency i is theta^(-2i/d) / factor[i].
 */
function ropeScaling(header: GgufHeader, architecture: string): Record<string, unknown> | null {
  const get = (name: string) => header.metadata.get(`${architecture}.rope.scaling.${name}`);
  const type = text(get('type'));
  if (type === undefined || type === 'none') return null;
  return {
    rope_type: type,
    factor: number(get('factor')),
    original_max_position_embeddings: number(get('original_context_length')),
  };
}

/** A float32 from the file said in the fewest digits that mean the same float32: 1e-5, not 9.999999747378752e-6. */
function number(value: GgufValue | undefined): number | undefined {
  if (typeof value !== 'number') return undefined;
  const short = Number(value.toPrecision(7));
  return !Number.isInteger(value) && Math.fround(short) === value ? short : value;
}

function text(value: GgufValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
