/**
 * Tensor names of GGUF files and of Hugging Face, both ways, and what differs in the numbers under them. One table per architecture
 * of llama.cpp. Names: llama.cpp's gguf-py/gguf/tensor_mapping.py.
 */

/** How GGUF's tensor differs from Hugging Face's: rows in another order, axes swapped, or one added to every weight. */
export type Rearrangement = 'none' | 'rotary-query' | 'rotary-key' | 'transpose' | 'plus-one';

/** Maps: a file may name anything, what every object inherits as well. */
type Names = ReadonlyMap<string, string>;

interface Naming {
  readonly top: Names;
  readonly layers: string;
  readonly layer: Names;
  /** llama.cpp's version of this architecture has no biases. */
  readonly biasless?: true;
  readonly rearrange: (module: string, kind: string) => Rearrangement;
}

const names = (table: Readonly<Record<string, string>>): Names => new Map(Object.entries(table));
const asTheyAre = (): Rearrangement => 'none';

const TOP = names({ token_embd: 'model.embed_tokens', output_norm: 'model.norm', output: 'lm_head' });

const ATTENTION = {
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
};
const HEAD_NORMS = { attn_q_norm: 'self_attn.q_norm', attn_k_norm: 'self_attn.k_norm' };
const GATED = { ffn_gate: 'mlp.gate_proj', ffn_up: 'mlp.up_proj', ffn_down: 'mlp.down_proj' };
const LLAMA_LAYER = { ...ATTENTION, ffn_norm: 'post_attention_layernorm', ...GATED };

const QWEN2: Naming = { top: TOP, layers: 'model.layers', layer: names(LLAMA_LAYER), rearrange: asTheyAre };

const NAMINGS: ReadonlyMap<string, Naming> = new Map([
  [
    'llama',
    {
      ...QWEN2,
      // llama.cpp's converter interleaves the rows of q and k (weights and biases) for its rotary kernel.
      rearrange: (module) => (module === 'attn_q' ? 'rotary-query' : module === 'attn_k' ? 'rotary-key' : 'none'),
    },
  ],
  ['qwen2', QWEN2],
  ['qwen3', { ...QWEN2, biasless: true, layer: names({ ...LLAMA_LAYER, ...HEAD_NORMS }) }],
  [
    'phi2',
    {
      top: names({ token_embd: 'model.embed_tokens', output_norm: 'model.final_layernorm', output: 'lm_head' }),
      layers: 'model.layers',
      layer: names({ ...ATTENTION, attn_output: 'self_attn.dense', ffn_up: 'mlp.fc1', ffn_down: 'mlp.fc2' }),
      rearrange: asTheyAre,
    },
  ],
  [
    'phi3',
    {
      top: TOP,
      layers: 'model.layers',
      layer: names({
        attn_norm: 'input_layernorm',
        attn_qkv: 'self_attn.qkv_proj',
        attn_output: 'self_attn.o_proj',
        ffn_norm: 'post_attention_layernorm',
        ffn_up: 'mlp.gate_up_proj',
        ffn_down: 'mlp.down_proj',
      }),
      biasless: true,
      rearrange: asTheyAre,
    },
  ],
  [
    'gemma3',
    {
      top: TOP,
      layers: 'model.layers',
      layer: names({
        ...ATTENTION,
        ...HEAD_NORMS,
        post_attention_norm: 'post_attention_layernorm',
        ffn_norm: 'pre_feedforward_layernorm',
        post_ffw_norm: 'post_feedforward_layernorm',
        ...GATED,
      }),
      biasless: true,
      // Hugging Face's Gemma norms multiply with 1 + weight, ggml's with the weight.
      rearrange: (module) => (module.endsWith('_norm') ? 'plus-one' : 'none'),
    },
  ],
  [
    'gpt2',
    {
      top: names({
        token_embd: 'transformer.wte',
        position_embd: 'transformer.wpe',
        output_norm: 'transformer.ln_f',
        output: 'lm_head',
      }),
      layers: 'transformer.h',
      layer: names({
        attn_norm: 'ln_1',
        attn_qkv: 'attn.c_attn',
        attn_output: 'attn.c_proj',
        ffn_norm: 'ln_2',
        ffn_up: 'mlp.c_fc',
        ffn_down: 'mlp.c_proj',
      }),
      // GPT-2's Conv1D holds [in, out] in Hugging Face's files; GGUF holds [out, in] like every other linear layer.
      rearrange: (module, kind) =>
        ['attn_qkv', 'attn_output', 'ffn_up', 'ffn_down'].includes(module) && kind === 'weight' ? 'transpose' : 'none',
    },
  ],
]);

export const GGUF_ARCHITECTURES: readonly string[] = [...NAMINGS.keys()];

export interface MappedName {
  readonly name: string;
  readonly rearrangement: Rearrangement;
}

/** A name that is not in the architecture's table stays as it is. */
export function huggingFaceName(architecture: string, name: string): MappedName {
  const naming = NAMINGS.get(architecture);
  const [, layer, module = '', kind = ''] = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(name) ?? [];
  const mapped = layer === undefined ? naming?.top.get(module) : naming?.layer.get(module);
  if (!naming || !mapped) return { name, rearrangement: 'none' };
  return {
    name: layer === undefined ? `${mapped}.${kind}` : `${naming.layers}.${layer}.${mapped}.${kind}`,
    rearrangement: naming.rearrange(module, kind),
  };
}

/** The way back; undefined when the architecture has no place for such a tensor. */
export function ggufName(architecture: string, name: string): MappedName | undefined {
  const naming = NAMINGS.get(architecture);
  const [, base = '', kind = ''] = /^(.+)\.(weight|bias)$/.exec(name) ?? [];
  if (!naming || base === '' || (kind === 'bias' && naming.biasless)) return undefined;
  // Files saved from the bare model, without its head, leave out the first part of every name.
  const [root] = naming.layers.split('.');
  for (const full of [base, `${root}.${base}`]) {
    const [, layer = '', rest = ''] = /^(\d+)\.(.+)$/.exec(full.slice(naming.layers.length + 1)) ?? [];
    const inLayer = full.startsWith(`${naming.layers}.`);
    const module = inLayer ? keyOf(naming.layer, rest) : keyOf(naming.top, full);
    if (!module) continue;
    const place = inLayer ? `blk.${layer}.` : '';
    return { name: `${place}${module}.${kind}`, rearrangement: naming.rearrange(module, kind) };
  }
  return undefined;
}

function keyOf(table: Names, value: string): string | undefined {
  return [...table].find(([, named]) => named === value)?.[0];
}
