/**
 * A Hugging Face config.json from a GGUF file's metadata and the tensors that are there. Keys: llama.cpp's gguf-py/gguf/constants.py;
 * what llama.cpp takes for granted of an architecture (src/models) is said here in config.json's words. Values that are missing stay
 * undefined: the architecture asks for them.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { GgufHeader, GgufValue } from './gguf.ts';
import { GGUF_ARCHITECTURES } from './gguf-names.ts';

type Config = Record<string, unknown>;

/** What llama.cpp's gemma3 has: every sixth layer sees everything, the others turn with a base of their own. */
const GEMMA3_PATTERN = 6;
const GEMMA3_LOCAL_BASE = 10_000;
/** The one Gemma 3 (27B) whose attention is scaled by hidden size over heads, told by its layers as llama.cpp tells it. */
const GEMMA3_27B_LAYERS = 62;

/** AppError unsupported_source names an architecture, or a variant of one, that is not read. */
export function huggingFaceConfig(header: GgufHeader, fileName: string): Config {
  const metadata = new Metadata(header);
  const { architecture } = metadata;
  if (architecture === undefined) throw new AppError('invalid_source', `${fileName}: general.architecture is missing`);
  if (!GGUF_ARCHITECTURES.includes(architecture)) {
    throw new AppError(
      'unsupported_source',
      `${fileName}: the GGUF architecture ${JSON.stringify(architecture)} is not known; there are ${GGUF_ARCHITECTURES.join(', ')} (readers/gguf-names.ts)`,
    );
  }
  const common = {
    vocab_size: metadata.rows('token_embd.weight') ?? metadata.number('vocab_size'),
    tie_word_embeddings: !metadata.has('output.weight'),
    bos_token_id: number(header.metadata.get('tokenizer.ggml.bos_token_id')),
    eos_token_id: number(header.metadata.get('tokenizer.ggml.eos_token_id')),
  };
  return architecture === 'gpt2' ? { ...gpt2(metadata), ...common } : { ...rotary(metadata, fileName), ...common };
}

function gpt2(metadata: Metadata): Config {
  return {
    model_type: 'gpt2',
    n_embd: metadata.number('embedding_length'),
    n_layer: metadata.number('block_count'),
    n_head: metadata.number('attention.head_count'),
    n_positions: metadata.number('context_length'),
    n_inner: metadata.number('feed_forward_length'),
    layer_norm_epsilon: metadata.number('attention.layer_norm_epsilon'),
    activation_function: 'gelu_new',
  };
}

function rotary(metadata: Metadata, fileName: string): Config {
  const hidden = metadata.number('embedding_length');
  const heads = metadata.number('attention.head_count');
  const headDim =
    metadata.number('attention.key_length') ?? (hidden !== undefined && heads ? hidden / heads : undefined);
  const window = metadata.number('attention.sliding_window') || null;
  const config = {
    hidden_size: hidden,
    num_hidden_layers: metadata.number('block_count'),
    num_attention_heads: heads,
    num_key_value_heads: metadata.number('attention.head_count_kv') ?? heads,
    head_dim: headDim,
    intermediate_size: metadata.number('feed_forward_length'),
    max_position_embeddings: metadata.number('context_length'),
    rms_norm_eps: metadata.number('attention.layer_norm_rms_epsilon'),
    rope_theta: metadata.number('rope.freq_base') ?? 10_000,
    rope_scaling: ropeScaling(metadata),
  };
  const rotated = (metadata.number('rope.dimension_count') ?? headDim ?? 0) / (headDim ?? 1);
  const partly = ['phi2', 'phi3'].includes(metadata.architecture ?? '');
  if (headDim !== undefined && rotated !== 1 && !partly) {
    throw new AppError(
      'unsupported_source',
      `${fileName}: ${metadata.architecture}.rope.dimension_count is ${metadata.number('rope.dimension_count')} where a head has ${headDim}: partly rotated heads are not read`,
    );
  }
  switch (metadata.architecture) {
    case 'phi2': {
      const { rms_norm_eps: _, ...rest } = config;
      const epsilon = metadata.number('attention.layer_norm_epsilon');
      return {
        ...rest,
        model_type: 'phi',
        layer_norm_eps: epsilon,
        hidden_act: 'gelu_new',
        partial_rotary_factor: rotated,
      };
    }
    case 'phi3':
      return {
        ...config,
        model_type: 'phi3',
        hidden_act: 'silu',
        sliding_window: window,
        partial_rotary_factor: rotated,
        // Beside the scaling, where Phi 3's configurations have it.
        original_max_position_embeddings: metadata.number('rope.scaling.original_context_length'),
      };
    case 'gemma3':
      return { ...config, ...gemma3(metadata, headDim), sliding_window: window };
    case 'llama': {
      const act = {
        attention_bias: metadata.has('blk.0.attn_q.bias'),
        mlp_bias: metadata.has('blk.0.ffn_gate.bias'),
        hidden_act: 'silu',
      };
      // A mixture of experts calls itself llama in GGUF, and so does a Mistral: it is one where it says that it has a window.
      if ((metadata.number('expert_count') ?? 0) > 0) return { ...config, ...act, model_type: 'mixtral' };
      return window === null
        ? { ...config, ...act, model_type: 'llama' }
        : { ...config, ...act, model_type: 'mistral', sliding_window: window };
    }
    default:
      return { ...config, model_type: metadata.architecture, hidden_act: 'silu' };
  }
}

function gemma3(metadata: Metadata, headDim: number | undefined): Config {
  const layers = metadata.number('block_count') ?? 0;
  const perHead = (metadata.number('embedding_length') ?? 0) / (metadata.number('attention.head_count') ?? 1);
  return {
    model_type: 'gemma3_text',
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: layers === GEMMA3_27B_LAYERS ? perHead : headDim,
    rope_local_base_freq: metadata.number('rope.freq_base_swa') ?? GEMMA3_LOCAL_BASE,
    layer_types: Array.from({ length: Math.min(layers, 1024) }, (_, layer) =>
      (layer + 1) % GEMMA3_PATTERN === 0 ? 'full_attention' : 'sliding_attention',
    ),
    final_logit_softcapping: metadata.number('final_logit_softcapping') ?? null,
  };
}

/**
 * Linear and YaRN scaling are said in the metadata. Llama 3's and LongRoPE's are tensors, one divisor per pair: gguf-rope.ts.
 */
function ropeScaling(metadata: Metadata): Config | null {
  const original = metadata.number('rope.scaling.original_context_length');
  if (metadata.has('rope_factors_long.weight')) {
    return {
      rope_type: 'longrope',
      original_max_position_embeddings: original,
      attention_factor: metadata.number('rope.scaling.attn_factor'),
    };
  }
  const type = metadata.text('rope.scaling.type');
  if (type === undefined || type === 'none') return null;
  return {
    rope_type: type,
    factor: metadata.number('rope.scaling.factor'),
    original_max_position_embeddings: original,
  };
}

/** Typed access to an architecture's own keys. */
class Metadata {
  readonly architecture: string | undefined;
  readonly #header: GgufHeader;
  readonly #shapes: ReadonlyMap<string, readonly number[]>;

  constructor(header: GgufHeader) {
    this.#header = header;
    this.architecture = text(header.metadata.get('general.architecture'));
    this.#shapes = new Map(header.tensors.map((tensor) => [tensor.name, tensor.shape]));
  }

  number(key: string): number | undefined {
    return number(this.#header.metadata.get(`${this.architecture}.${key}`));
  }

  text(key: string): string | undefined {
    return text(this.#header.metadata.get(`${this.architecture}.${key}`));
  }

  has(tensor: string): boolean {
    return this.#shapes.has(tensor);
  }

  rows(tensor: string): number | undefined {
    return this.#shapes.get(tensor)?.[0];
  }
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
