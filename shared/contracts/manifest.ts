/**
 * What a version in the bucket says of itself. Written once by the converter, read by everything that serves it.
 */
import { z } from 'zod';

export const PRECISIONS = ['fp32', 'fp16', 'int8', 'int4'] as const;
export const Precision = z.enum(PRECISIONS);
export type Precision = z.infer<typeof Precision>;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const ModelName = z
  .string()
  .regex(
    /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/i,
    'a model name has 1 to 64 letters, digits, dots, dashes and underscores, and begins and ends with a letter or digit',
  );
export const VersionName = z.string().regex(/^v\d{3,}$/);

/** The result against the source in fp32, both run over the same text, teacher-forced. */
export const ParityReport = z.object({
  max_logit_error: z.number(),
  kl_divergence: z.number(),
  top1_agreement: z.number(),
  perplexity: z.number(),
  perplexity_source: z.number(),
  /** Positions compared. */
  tokens: z.number().int(),
  /** Which text: `bundled` or the base name of the file given. */
  text: z.string(),
  within_bounds: z.boolean(),
});
export type ParityReport = z.infer<typeof ParityReport>;

/** Everything a layout needs to run a graph; names and shapes are fixed per layout. */
export const GraphSpec = z.object({
  layout: z.enum(['shared-cache', 'standard']),
  /** Path inside the version. */
  path: z.string(),
  layers: z.number().int(),
  kv_heads: z.number().int(),
  head_dim: z.number().int(),
  vocab_size: z.number().int(),
  context_length: z.number().int(),
  /** Path of an int8 cache's steps: float32 [layers][key, value][kv_heads * head_dim], one after the other. Null: the cache is float32. */
  cache_scales: z.string().nullable(),
  /** Path of the same graph with its integer products' weights unsigned, for x64 processors without VNNI: those round the others. */
  uint8_path: z.string().nullable().default(null),
});
export type GraphSpec = z.infer<typeof GraphSpec>;

export const Manifest = z.object({
  schema: z.literal(1),
  name: ModelName,
  version: VersionName,
  created_at: z.iso.datetime(),
  source: z.object({
    kind: z.string(),
    label: z.string(),
    files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256 })),
  }),
  architecture: z.object({
    family: z.string(),
    parameters: z.number().int(),
    hidden_size: z.number().int(),
    layers: z.number().int(),
    heads: z.number().int(),
    kv_heads: z.number().int(),
    head_dim: z.number().int(),
    intermediate_size: z.number().int(),
    vocab_size: z.number().int(),
    context_length: z.number().int(),
    tied_embedding: z.boolean(),
  }),
  precision: Precision,
  /** How this precision was reached (rotations, groups, block sizes ...), for people. */
  quantization: z.string(),
  bits_per_weight: z.number(),
  files: z.array(z.object({ path: z.string(), bytes: z.number().int(), sha256 })),
  graphs: z.object({ serving: GraphSpec, standard: GraphSpec }),
  /** File path of the weights all graphs share. */
  weights: z.string(),
  text: z.object({
    tokenizer: z.string(),
    chat_template: z.string().nullable(),
    bos_token_id: z.number().int().nullable(),
    eos_token_ids: z.array(z.number().int()),
    add_bos: z.boolean(),
  }),
  parity: ParityReport,
  /** True when it was published with --allow-drift although the report is outside the bounds. */
  drift_allowed: z.boolean(),
});
export type Manifest = z.infer<typeof Manifest>;
