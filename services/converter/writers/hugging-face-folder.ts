/**
 * A checkpoint as a Hugging Face folder that transformers loads: configuration, weights (in shards above a size), tokenizer, template.
 * Knows the folder's files; knows no architecture beyond the class transformers has for it.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Checkpoint, SourceTensor, TextFiles } from '../checkpoint.ts';
import { type FloatType, type StoredTensor, tensorBytes, writeSafetensors } from './safetensors-file.ts';
import { countTensors, type WritingProgress } from './writing-progress.ts';

/** What transformers calls the type in `dtype`. */
const DTYPES: Readonly<Record<FloatType, string>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

/** `model_type` -> the class that generates text with it, for programs that look for it by name (vLLM). */
const CLASSES: ReadonlyMap<string, string> = new Map([
  ['llama', 'LlamaForCausalLM'],
  ['mistral', 'MistralForCausalLM'],
  ['gpt2', 'GPT2LMHeadModel'],
  ['qwen2', 'Qwen2ForCausalLM'],
  ['qwen3', 'Qwen3ForCausalLM'],
  ['phi', 'PhiForCausalLM'],
  ['phi3', 'Phi3ForCausalLM'],
  ['gemma3_text', 'Gemma3ForCausalLM'],
]);

export interface FolderOptions {
  /** `source`: what is stored as F32, F16 or BF16 stays so, everything else becomes F32. */
  readonly type: FloatType | 'source';
  /** The head is the embedding: one tensor for both. */
  readonly tied: boolean;
  /** Of one weights file at most; a single tensor may be larger. */
  readonly shardBytes: number;
  readonly onProgress: (done: WritingProgress) => void;
}

/** Of the written weights. */
export interface WrittenWeights {
  readonly tensors: number;
  readonly parameters: number;
  readonly bytes: number;
}

/** Makes `folder`. `tensors` are those that belong to the model. */
export async function writeHuggingFaceFolder(
  folder: string,
  checkpoint: Checkpoint,
  tensors: readonly SourceTensor[],
  { type, tied, shardBytes, onProgress }: FolderOptions,
): Promise<WrittenWeights> {
  const stored = tensors.map((tensor): StoredTensor => {
    const { name, shape, dtype } = tensor;
    return { name, shape, type: type === 'source' ? asStored(dtype) : type, read: () => tensor.read() };
  });
  await mkdir(folder);
  const json = (name: string, value: unknown) =>
    writeFile(path.join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
  await json('config.json', configFor(checkpoint, stored, tied));
  await writeText(folder, checkpoint.text, json);

  const total = stored.reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const onTensor = countTensors(total, onProgress);
  const parts = shards(stored, shardBytes);
  const fileOf = (index: number) =>
    parts.length === 1 ? 'model.safetensors' : `model-${number(index + 1)}-of-${number(parts.length)}.safetensors`;
  for (const [index, part] of parts.entries()) await writeSafetensors(path.join(folder, fileOf(index)), part, onTensor);
  if (parts.length > 1) {
    const places = parts.flatMap((part, index) => part.map(({ name }) => [name, fileOf(index)]));
    await json('model.safetensors.index.json', {
      metadata: { total_size: total, total_parameters: parametersOf(stored) },
      weight_map: Object.fromEntries(places),
    });
  }
  return { tensors: stored.length, parameters: parametersOf(stored), bytes: total };
}

function asStored(dtype: string): FloatType {
  return dtype === 'F16' || dtype === 'BF16' ? dtype : 'F32';
}

/** In order, each file as full as it may be. */
function shards(tensors: readonly StoredTensor[], limit: number): StoredTensor[][] {
  const result: StoredTensor[][] = [];
  let left = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor);
    const last = result.at(-1);
    if (last && bytes <= left) last.push(tensor);
    else {
      result.push([tensor]);
      left = limit;
    }
    left -= bytes;
  }
  return result;
}

function number(value: number): string {
  return String(value).padStart(5, '0');
}

function parametersOf(tensors: readonly StoredTensor[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
}

function configFor(checkpoint: Checkpoint, stored: readonly StoredTensor[], tied: boolean): Record<string, unknown> {
  const { config } = checkpoint;
  // transformers loads a model in one type: the one most of its weights are in.
  const bytes = new Map<FloatType, number>();
  for (const tensor of stored) bytes.set(tensor.type, (bytes.get(tensor.type) ?? 0) + tensorBytes(tensor));
  const [most = 'F32'] = [...bytes.keys()].toSorted((a, b) => (bytes.get(b) ?? 0) - (bytes.get(a) ?? 0));
  if (checkpoint.tensors.has('rope_freqs.weight')) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: its rotary divisors (rope_freqs.weight) are those of no scaling that config.json can name`,
    );
  }
  const { torch_dtype: _, dtype: __, transformers_version: ___, ...rest } = config;
  const name = CLASSES.get(String(config.model_type));
  return {
    ...(name === undefined ? {} : { architectures: [name] }),
    ...rest,
    tie_word_embeddings: tied,
    dtype: DTYPES[most],
  };
}

async function writeText(
  folder: string,
  text: TextFiles,
  json: (name: string, value: unknown) => Promise<void>,
): Promise<void> {
  const { bosTokenId, eosTokenIds } = text;
  const eos = eosTokenIds.length === 1 ? eosTokenIds[0] : eosTokenIds;
  await json('generation_config.json', {
    ...text.generationConfig,
    ...(bosTokenId === null ? {} : { bos_token_id: bosTokenId }),
    ...(eosTokenIds.length === 0 ? {} : { eos_token_id: eos }),
  });
  await json('tokenizer.json', text.tokenizerJson);
  await json('tokenizer_config.json', withTokenTypes(text.tokenizerConfig));
  if (text.chatTemplate !== null) await writeFile(path.join(folder, 'chat_template.jinja'), text.chatTemplate);
}

/** transformers takes a special token that is written out as an object only with its type. */
function withTokenTypes(tokenizerConfig: unknown): unknown {
  if (typeof tokenizerConfig !== 'object' || tokenizerConfig === null) return tokenizerConfig;
  const typed = Object.entries(tokenizerConfig).map(([key, value]: [string, unknown]) => {
    const isToken = key.endsWith('_token') && typeof value === 'object' && value !== null && 'content' in value;
    return [key, isToken ? { __type: 'AddedToken', ...value } : value];
  });
  return Object.fromEntries(typed);
}

const UNITS: Readonly<Record<string, number>> = { KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 };

/** "5GB" or "300MiB", as transformers writes such sizes. AppError invalid_field. */
export function parseSize(size: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+)$/.exec(size.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit.toUpperCase()] ?? 0));
  if (bytes > 0) return bytes;
  throw new AppError('invalid_field', `--shard-size ${JSON.stringify(size)} is no size; write it like 5GB or 300MiB`);
}
