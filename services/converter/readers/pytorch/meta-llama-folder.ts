/**
 * Llama as Meta releases it: params.json, consolidated.00.pth and a tokenizer, as a checkpoint in Hugging Face's words. Names and
 * settings: meta-llama/llama, llama/model.py.
 */

import { realpath } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describeIssues } from '@slipway/shared/lib/describe-issues.ts';
import { z } from 'zod';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import { readFolderText } from '../hugging-face-text.ts';
import { halfSplitRows } from '../rearrange.ts';
import { describeFile, SourceFile } from '../source-file.ts';
import type { SourceFolder } from '../source-folder.ts';
import { readTorchTensors } from './torch-file.ts';

const PARAMS = 'params.json';
const WEIGHTS = 'consolidated.00.pth';
/** Llama 1's; params.json rarely says, and every later one can do more. */
const CONTEXT = 2048;

const size = z.number().int().positive();
const Params = z.looseObject({
  dim: size,
  n_layers: size,
  n_heads: size,
  n_kv_heads: size.nullish(),
  norm_eps: z.number().positive(),
  rope_theta: z.number().positive().default(10_000),
  max_seq_len: size.default(CONTEXT),
  use_scaled_rope: z
    .literal(false, "Llama 3.1's frequencies are scaled by what is not in this file; take the release for Hugging Face")
    .optional(),
});
type Params = z.infer<typeof Params>;

const TOP: ReadonlyMap<string, string> = new Map([
  ['tok_embeddings', 'model.embed_tokens'],
  ['norm', 'model.norm'],
  ['output', 'lm_head'],
]);
const LAYER: ReadonlyMap<string, string> = new Map([
  ['attention.wq', 'self_attn.q_proj'],
  ['attention.wk', 'self_attn.k_proj'],
  ['attention.wv', 'self_attn.v_proj'],
  ['attention.wo', 'self_attn.o_proj'],
  ['attention_norm', 'input_layernorm'],
  ['ffn_norm', 'post_attention_layernorm'],
  ['feed_forward.w1', 'mlp.gate_proj'],
  ['feed_forward.w2', 'mlp.down_proj'],
  ['feed_forward.w3', 'mlp.up_proj'],
]);
/** Tables that are computed. */
const COMPUTED = /^rope\.freqs$|\.attention\.mask$|\.attention\.inner_attention\.rope\.freqs$/;

export function isMetaLlama(folder: SourceFolder): boolean {
  return folder.has(PARAMS) && folder.has(WEIGHTS);
}

/** AppError invalid_source, or unsupported_source where the weights are split over several files. */
export async function openMetaLlama(folder: SourceFolder): Promise<Checkpoint> {
  const parsed = Params.safeParse(await folder.json(PARAMS));
  if (!parsed.success) throw new AppError('invalid_source', `${PARAMS}: ${describeIssues(parsed.error)}`);
  const params = parsed.data;
  if (folder.has('consolidated.01.pth')) {
    throw new AppError(
      'unsupported_source',
      `${folder.path}: its weights are split over several files by tensor parallelism; take the release in Hugging Face's format`,
    );
  }
  const file = await SourceFile.open(join(folder.path, WEIGHTS));
  try {
    const tensors = new Map<string, SourceTensor>();
    for (const tensor of (await readTorchTensors(file)).tensors.values()) {
      if (!COMPUTED.test(tensor.name)) tensors.set(...translate(tensor, params));
    }
    const [vocabulary, hidden] = ['model.embed_tokens', 'model.layers.0.mlp.gate_proj'].map(
      (name) => tensors.get(`${name}.weight`)?.shape[0],
    );
    if (vocabulary === undefined || hidden === undefined) {
      throw new AppError('invalid_source', `${folder.path}: ${WEIGHTS} holds no llama in Meta's names`);
    }
    const config = {
      model_type: 'llama',
      hidden_size: params.dim,
      intermediate_size: hidden,
      num_hidden_layers: params.n_layers,
      num_attention_heads: params.n_heads,
      num_key_value_heads: params.n_kv_heads ?? params.n_heads,
      vocab_size: vocabulary,
      max_position_embeddings: params.max_seq_len,
      rms_norm_eps: params.norm_eps,
      rope_theta: params.rope_theta,
      tie_word_embeddings: !tensors.has('lm_head.weight'),
    };
    const text = await readFolderText(folder, config);
    return {
      kind: 'hugging-face-folder',
      label: basename(await realpath(folder.path)),
      files: [...folder.read, await describeFile(file)],
      config,
      tensors,
      text,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** A name that is not known stays as it is: the architecture says that it has no place for it. */
function translate(tensor: SourceTensor, { n_heads, n_kv_heads }: Params): [string, SourceTensor] {
  const [, layer, module = '', kind] = /^(?:layers\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(tensor.name) ?? [];
  const known = layer === undefined ? TOP.get(module) : LAYER.get(module);
  if (known === undefined) return [tensor.name, tensor];
  const name = `${layer === undefined ? '' : `model.layers.${layer}.`}${known}.${kind}`;
  const heads = { 'attention.wq': n_heads, 'attention.wk': n_kv_heads ?? n_heads }[module];
  // Meta's rotary turns neighbours.
  const read = async () => {
    const values = await tensor.read();
    return heads === undefined ? values : halfSplitRows(values, heads, tensor.shape[1] ?? 1);
  };
  return [name, { ...tensor, name, read }];
}
