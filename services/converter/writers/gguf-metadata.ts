/**
 * What a GGUF file says of a model's shape: llama.cpp's keys from a decoder's description and its rotary configuration, and the tensors
 * that hold what no key can (rotary divisors). Keys: llama.cpp's gguf-py/gguf/constants.py. Knows no tokenizer and no weights.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import { CheckpointReader } from '../architectures/checkpoint-reader.ts';
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import { parseScaling, ropeConfig, type Scaling } from '../architectures/rope-config.ts';
import { llama3Frequency, plainFrequencies } from '../architectures/rope-scaling.ts';
import type { Checkpoint } from '../checkpoint.ts';
import type { MetadataEntry, MetadataValue } from './gguf-file.ts';

/** `model_type` -> llama.cpp's architecture. */
const ARCHITECTURES: ReadonlyMap<string, string> = new Map([
  ['llama', 'llama'],
  ['mistral', 'llama'],
  ['gpt2', 'gpt2'],
  ['qwen2', 'qwen2'],
  ['qwen3', 'qwen3'],
  ['phi', 'phi2'],
  ['phi3', 'phi3'],
  ['gemma3_text', 'gemma3'],
]);

export interface GgufShape {
  readonly architecture: string;
  readonly metadata: readonly MetadataEntry[];
  /** Rotary divisors, one per pair. */
  readonly divisors: readonly { readonly name: string; readonly values: Float32Array }[];
  /** For people: where llama.cpp will compute something else. */
  readonly notes: readonly string[];
}

/** AppError unsupported_source when llama.cpp has no such architecture, or no key for what this model does. */
export async function describeShape(checkpoint: Checkpoint, spec: DecoderSpec): Promise<GgufShape> {
  const architecture = ARCHITECTURES.get(String(checkpoint.config.model_type));
  if (!architecture) {
    throw new AppError(
      'unsupported_source',
      `${checkpoint.label}: a ${String(checkpoint.config.model_type)} is not written as GGUF; these are: ${[...ARCHITECTURES.keys()].join(', ')}`,
    );
  }
  const window = windowOf(checkpoint, spec, architecture);
  const rope =
    spec.ropes.length > 0 ? await describeRope(checkpoint, spec, architecture) : { entries: [], divisors: [] };
  const own: (readonly [string, MetadataValue])[] = [
    ['context_length', { u32: spec.contextLength }],
    ['embedding_length', { u32: spec.hiddenSize }],
    ['block_count', { u32: spec.layers.length }],
    ['feed_forward_length', { u32: spec.intermediateSize }],
    ['attention.head_count', { u32: spec.heads }],
    ['attention.head_count_kv', { u32: spec.kvHeads }],
    [
      spec.norm.kind === 'rms' ? 'attention.layer_norm_rms_epsilon' : 'attention.layer_norm_epsilon',
      { f32: spec.norm.epsilon },
    ],
    ...(window === null ? [] : [['attention.sliding_window', { u32: window }] as const]),
    ...rope.entries,
    ['vocab_size', { u32: spec.vocabSize }],
  ];
  return {
    architecture,
    metadata: own.map(([key, value]) => [`${architecture}.${key}`, value]),
    divisors: rope.divisors,
    notes:
      window === null || window >= spec.contextLength || architecture === 'gemma3'
        ? []
        : [
            `llama.cpp gives a ${architecture} no attention windows: beyond ${window} positions it computes something else`,
          ],
  };
}

/** The window of the layers that have one; null: none has. llama.cpp's gemma3 knows itself which layers have. */
function windowOf(checkpoint: Checkpoint, spec: DecoderSpec, architecture: string): number | null {
  const windows = [...new Set(spec.layers.map(({ window }) => window))];
  const [only = null] = windows.filter((window) => window !== null);
  const keyed = ['llama', 'phi3', 'gemma3'].includes(architecture);
  if (only === null || (keyed && (windows.length === 1 || architecture === 'gemma3'))) return only;
  throw new AppError(
    'unsupported_source',
    `${checkpoint.label}: some layers see only ${only} positions, and GGUF has no key for that in a ${architecture}`,
  );
}

const RopeConfig = z.looseObject(ropeConfig);

/** Gemma 3 has a rope for each kind of layer; llama.cpp's keys are about that of the layers that see everything. */
function withGlobalRope(config: Checkpoint['config']): Checkpoint['config'] {
  const byKind = z.object({ rope_parameters: z.object({ full_attention: z.looseObject({}) }) }).safeParse(config);
  return byKind.success ? { ...config, rope_parameters: byKind.data.rope_parameters.full_attention } : config;
}

async function describeRope(
  checkpoint: Checkpoint,
  spec: DecoderSpec,
  architecture: string,
): Promise<{ entries: (readonly [string, MetadataValue])[]; divisors: GgufShape['divisors'] }> {
  const reader = new CheckpointReader(checkpoint);
  const config = RopeConfig.parse(withGlobalRope(checkpoint.config));
  const theta =
    config.rope_parameters?.rope_theta ??
    config.rope_scaling?.rope_theta ??
    config.rope_theta ??
    (architecture === 'gemma3' ? 1e6 : 10_000);
  const scaling = parseScaling(reader, config);
  const divisors = new Map<string, Float32Array>();
  if (scaling.rope_type === 'longrope') {
    divisors.set('rope_factors_long.weight', Float32Array.from(scaling.long_factor ?? []));
    divisors.set('rope_factors_short.weight', Float32Array.from(scaling.short_factor ?? []));
  }
  if (scaling.rope_type === 'llama3') {
    const plain = plainFrequencies(theta, spec.rotaryDim);
    divisors.set(
      'rope_freqs.weight',
      Float32Array.from(plain, (f) => f / llama3Frequency(f, scaling)),
    );
  }
  // Another GGUF file's own.
  const given = 'rope_freqs.weight';
  if (reader.has(given)) divisors.set(given, await reader.tensor(given, [spec.rotaryDim / 2]).read());
  return {
    entries: [
      ['attention.key_length', { u32: spec.headDim }],
      ['attention.value_length', { u32: spec.headDim }],
      ['rope.dimension_count', { u32: spec.rotaryDim }],
      ['rope.freq_base', { f32: theta }],
      ...describeScaling(spec, scaling),
    ],
    divisors: [...divisors].map(([name, values]) => ({ name, values })),
  };
}

function describeScaling(spec: DecoderSpec, scaling: Scaling): (readonly [string, MetadataValue])[] {
  if (scaling.rope_type === 'linear') {
    return [
      ['rope.scaling.type', { text: 'linear' }],
      ['rope.scaling.factor', { f32: scaling.factor }],
    ];
  }
  if (scaling.rope_type !== 'longrope' && scaling.rope_type !== 'yarn') return [];
  const original = scaling.original_max_position_embeddings;
  const factor = scaling.factor ?? spec.contextLength / original;
  const entries = [['rope.scaling.original_context_length', { u32: original }] as const];
  if (scaling.rope_type === 'yarn') {
    return [...entries, ['rope.scaling.type', { text: 'yarn' }], ['rope.scaling.factor', { f32: factor }]];
  }
  const magnitude = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  return [...entries, ['rope.scaling.attn_factor', { f32: scaling.attention_factor ?? magnitude }]];
}
