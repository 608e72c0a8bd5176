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
/** A movable name of a version. Never something that could be taken for a version. */
export const AliasName = z
  .string()
  .regex(
    /^(?!v\d+$)[a-z][a-z0-9-]{0,31}$/,
    'an alias has 1 to 32 lower-case letters, digits and dashes, begins with a letter, and does not look like a version',
  );

/** NAME, NAME@v001 or NAME@ALIAS; a hub's `owner/` in front is allowed and means nothing. */
export function isModelReference(text: string): boolean {
  const [reference = '', owner, ...folders] = text.split('/').reverse();
  const [name, tag, ...tags] = reference.split('@');
  const isTag = tag === undefined || VersionName.safeParse(tag).success || AliasName.safeParse(tag).success;
  const isOwner = owner === undefined || ModelName.safeParse(owner).success;
  return isOwner && folders.length === 0 && ModelName.safeParse(name).success && isTag && tags.length === 0;
}

/** The source in fp32, run by our graph, against the program that trained it. */
export const TrainedParity = z.object({
  max_logit_error: z.number(),
  kl_divergence: z.number(),
  top1_agreement: z.number(),
  /** Positions compared. */
  tokens: z.number().int(),
  /** Tokens of its own greedy answers that came out the same: all of them. */
  greedy_tokens: z.number().int(),
  /** Of these, where float32 cannot tell which of two tokens is first. */
  greedy_ties: z.number().int(),
});
export type TrainedParity = z.infer<typeof TrainedParity>;

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
  /** Only of models that were trained here. */
  trained: TrainedParity.optional(),
});
export type ParityReport = z.infer<typeof ParityReport>;

/** Positions of a model that has no last one: what a host serves is bounded by its own limits alone. */
export const UNBOUNDED_CONTEXT = 2 ** 31 - 1;

/** Everything a layout needs to run a graph; names and shapes are fixed per layout. */
export const GraphSpec = z.object({
  layout: z.enum(['shared-cache', 'standard', 'recurrent']),
  /** Path inside the version. */
  path: z.string(),
  layers: z.number().int(),
  /** What a layer keeps of each position: as many keys and values of this size. `recurrent`: one hidden and one cell state in all. */
  kv_heads: z.number().int(),
  head_dim: z.number().int(),
  vocab_size: z.number().int(),
  /** `recurrent`: UNBOUNDED_CONTEXT. */
  context_length: z.number().int(),
  /** Path of an int8 cache's steps: float32 [layers][key, value][kv_heads * head_dim], one after the other. Null: the cache is float32. */
  cache_scales: z.string().nullable(),
  /** Path of the same graph with its integer products' weights unsigned, for x64 processors without VNNI: those round the others. */
  uint8_path: z.string().nullable().default(null),
});
export type GraphSpec = z.infer<typeof GraphSpec>;

export const LineageFile = z.object({ name: z.string(), bytes: z.number().int().nonnegative(), sha256 });

/** Where a version comes from, so that it can be made again. What a publisher does not know is left out. */
export const Lineage = z.object({
  /** Of the training that made it. */
  run: z.string().optional(),
  /** What it was trained on. */
  data: z.array(LineageFile).optional(),
  /** The same as canonical JSON Lines, train and validation: in the bucket under `examplesInBucket`, unless that was not wanted. */
  examples: z.array(LineageFile).optional(),
  /** The settings of the run that made it, as they were. */
  config: z.record(z.string(), z.unknown()).optional(),
  git_commit: z.string().optional(),
  /** Library -> version. */
  libraries: z.record(z.string(), z.string()).optional(),
  /** What was seeded -> seed. */
  seeds: z.record(z.string(), z.number().int()).optional(),
  /** The model it was trained from: NAME@v001, or what its folder or file is called. */
  parent: z.string().optional(),
  /** What that consists of. */
  parent_files: z.array(LineageFile).optional(),
  /** How the training ended. Losses are per token, in nats; null: nothing was held out. */
  training: z
    .object({
      steps: z.number().int(),
      loss: z.number().nullable(),
      validation_loss: z.number().nullable(),
      tokens: z.number().int(),
      seconds: z.number(),
    })
    .optional(),
});
export type Lineage = z.infer<typeof Lineage>;

/** Where the file sets of examples are. */
export const EXAMPLES_IN_BUCKET = 'data/';

/** The file set that holds an examples.jsonl. */
export function examplesInBucket(sha256: string): string {
  return EXAMPLES_IN_BUCKET + sha256;
}

export const Manifest = z.object({
  schema: z.literal(1),
  name: ModelName,
  version: VersionName,
  created_at: z.iso.datetime(),
  /** For people. */
  description: z.string().max(10_000).optional(),
  lineage: Lineage.optional(),
  source: z.object({
    kind: z.string(),
    label: z.string(),
    files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256 })),
    /** Of weights laid over a base: tensors found, names left out, heads that are the embedding, prefixes cut. None was missing. */
    fit: z
      .object({
        matched: z.number().int(),
        unexpected: z.array(z.string()),
        tied: z.array(z.string()),
        renamed: z.array(z.string()),
      })
      .optional(),
  }),
  architecture: z.object({
    family: z.string(),
    parameters: z.number().int(),
    hidden_size: z.number().int(),
    layers: z.number().int(),
    /** Absent, with the three that follow, in a model without attention. */
    heads: z.number().int().optional(),
    kv_heads: z.number().int().optional(),
    head_dim: z.number().int().optional(),
    intermediate_size: z.number().int().optional(),
    vocab_size: z.number().int(),
    context_length: z.number().int(),
    /** For people: how positions are told apart, and which of a scaling's settings the served context chose. */
    positions: z.string().optional(),
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
