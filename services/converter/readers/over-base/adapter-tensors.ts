/**
 * Sorts an adapter file's tensors into what they do to a base: low-rank factors by module, and tensors that replace one whole.
 * Names: huggingface/peft, tuners/lora/layer.py and utils/save_and_load.py. Knows no base and computes nothing.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SourceTensor } from '../../checkpoint.ts';

/** What one module's LoRA is made of. */
export interface LoraFactors {
  readonly kind: 'linear' | 'embedding';
  /** [rank, in]; an embedding's [rank, rows]. */
  readonly a: SourceTensor;
  /** [out, rank] */
  readonly b: SourceTensor;
  /** Added to the module's bias; [out]. */
  readonly biasB: SourceTensor | null;
  /** DoRA's lengths, [out]. */
  readonly magnitude: SourceTensor | null;
}

export interface AdapterTensors {
  /** By the module's path as the file has it, e.g. `base_model.model.model.layers.0.self_attn.q_proj`. */
  readonly factors: ReadonlyMap<string, LoraFactors>;
  /** By the tensor's name in the model, PEFT's wrappers taken out. */
  readonly whole: ReadonlyMap<string, SourceTensor>;
}

/** Part of a module -> the end of its tensor's name. An adapter's own name stands in between in raw state dicts. */
const PARTS = [
  ['a', /\.lora_A(\.default)?\.weight$/],
  ['b', /\.lora_B(\.default)?\.weight$/],
  ['biasB', /\.lora_B(\.default)?\.bias$/],
  ['embeddingA', /\.lora_embedding_A(\.default)?$/],
  ['embeddingB', /\.lora_embedding_B(\.default)?$/],
  ['magnitude', /\.lora_magnitude_vector(\.default)?(\.weight)?$/],
] as const;
type Part = (typeof PARTS)[number][0];

/** Modules that PEFT puts around the ones it saves whole. */
const WRAPPERS = /\.(base_layer|modules_to_save(\.default)?)(?=\.)/g;
/** What no part above has fitted and only an adapter has: to leave it out would be another model. */
const UNKNOWN = /(^|\.)(lora_\w+|token_adapter|original_module|trainable_tokens\w*)(\.|$)/;

/** AppError invalid_source or unsupported_source names the tensor. `label` names the file. */
export function sortAdapterTensors(tensors: ReadonlyMap<string, SourceTensor>, label: string): AdapterTensors {
  const modules = new Map<string, Partial<Record<Part, SourceTensor>>>();
  const whole = new Map<string, SourceTensor>();
  for (const [name, tensor] of tensors) {
    const [part, ending] = PARTS.find(([, pattern]) => pattern.test(name)) ?? [];
    if (part !== undefined && ending !== undefined) {
      const module = name.replace(ending, '');
      modules.set(module, { ...modules.get(module), [part]: tensor });
      continue;
    }
    if (UNKNOWN.test(name)) {
      throw new AppError(
        'unsupported_source',
        `${label}: what the tensor ${name} does to the base is not known here. Merge the adapter with peft's merge_and_unload() and convert the saved model.`,
      );
    }
    const target = name.replaceAll(WRAPPERS, '');
    if (whole.has(target)) throw new AppError('invalid_source', `${label}: two tensors are ${target}`);
    whole.set(target, tensor);
  }
  const factors = new Map([...modules].map(([module, parts]) => [module, complete(module, parts, label)]));
  return { factors, whole };
}

function complete(module: string, parts: Partial<Record<Part, SourceTensor>>, label: string): LoraFactors {
  const { a, b, embeddingA, embeddingB, biasB = null, magnitude = null } = parts;
  const isLinear = a !== undefined || b !== undefined || biasB !== null;
  const isEmbedding = embeddingA !== undefined || embeddingB !== undefined;
  if (isLinear && isEmbedding) {
    throw new AppError('invalid_source', `${label}: ${module} is adapted both as a linear layer and as an embedding`);
  }
  const kind = isEmbedding ? 'embedding' : 'linear';
  const [first, second] = isEmbedding ? [embeddingA, embeddingB] : [a, b];
  if (!first || !second) {
    const [nameA, nameB] = isEmbedding ? ['lora_embedding_A', 'lora_embedding_B'] : ['lora_A.weight', 'lora_B.weight'];
    const [missing, there] = first ? [nameB, nameA] : [nameA, second ? nameB : 'the rest'];
    throw new AppError(
      'invalid_source',
      `${label}: the tensor ${module}.${missing} is missing, ${there} of that module is there: the file is incomplete; save the adapter again`,
    );
  }
  return { kind, a: first, b: second, biasB, magnitude };
}
