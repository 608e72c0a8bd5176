/**
 * What `GET /api/v1/models`, `POST /models/load` and `POST /models/unload` take and give. Knows nothing of how a model is loaded.
 */
import { z } from 'zod';
import { isModelReference, Precision } from './manifest.ts';
import { parseFields } from './request-fields.ts';

export const MODEL_REQUEST_FIELDS = {
  model: {
    schema: z.string().max(128).refine(isModelReference),
    allowed: "the name of a model in the service's bucket: NAME, NAME@ALIAS or NAME@v001",
  },
};

/** AppError invalid_field. Nothing but a name passes, so that nothing else comes near the file system. */
export function parseModelRequest(body: unknown): { readonly model: string } {
  return parseFields(body, MODEL_REQUEST_FIELDS, '"model"');
}

const Following = z.object({
  reference: z.string(),
  every_seconds: z.number(),
  /** The version it points at, when that is not the one that answers. */
  wanted: z.string().nullable(),
  detail: z.string().nullable(),
});

/** A name under which a model is loaded, or is being loaded. */
const Loaded = z.object({
  name: z.string(),
  /** Whether it answers requests that name no model. */
  is_default: z.boolean(),
  version: z.string().nullable(),
  state: z.enum(['loading', 'ready', 'failed', 'unloading']),
  detail: z.string().nullable(),
  following: Following.nullable(),
  /** Of the engine's process; names of one version share it. */
  memory_bytes: z.number().int().nullable(),
  /** Being answered now. */
  requests: z.number().int(),
  last_used_at: z.iso.datetime().nullable(),
});
export type Loaded = z.infer<typeof Loaded>;

const Version = z.object({
  version: z.string(),
  precision: Precision,
  parameters: z.number().int(),
  created_at: z.iso.datetime(),
  /** Of its files. */
  bytes: z.number().int(),
  /** What its engine took at most when it was last open, or an estimate. */
  expected_memory_bytes: z.number().int(),
  is_loaded: z.boolean(),
});

export const ModelsAnswer = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      /** Null for one that is loaded, but no longer there or not to be seen. */
      bucket: z.string().nullable(),
      aliases: z.record(z.string(), z.string()),
      versions: z.array(Version),
      loaded: z.array(Loaded),
    }),
  ),
  /** Buckets that could not be read. */
  unreadable: z.array(z.object({ bucket: z.string(), reason: z.string() })),
  memory: z.object({
    /** What all engines hold now. */
    engines_bytes: z.number().int(),
    /** What the container or machine has left; null where that is not known. */
    available_bytes: z.number().int().nullable(),
    /** MODELS_MAX_MEMORY. */
    limit_bytes: z.number().int().nullable(),
  }),
});
export type ModelsAnswer = z.infer<typeof ModelsAnswer>;

export const LoadAnswer = z.object({
  /** As it was asked for. */
  model: z.string(),
  version: z.string().nullable(),
  precision: z.string().nullable(),
  memory_bytes: z.number().int().nullable(),
  /** How long this request waited for it. */
  seconds: z.number(),
});
export type LoadAnswer = z.infer<typeof LoadAnswer>;

export const UnloadAnswer = z.object({
  /** The name it was loaded under. */
  model: z.string(),
  version: z.string().nullable(),
  /** Other names under which the version stays loaded; empty: its memory has been given back. */
  still_loaded_as: z.array(z.string()),
});
export type UnloadAnswer = z.infer<typeof UnloadAnswer>;
