/**
 * How `GET /v1/models` tells what is served: OpenAI's fields, and what our own pages want to know beside them.
 */
import { z } from 'zod';
import { Precision } from '../manifest.ts';

export const ModelEntry = z.object({
  /** What a request's `model` names it by. */
  id: z.string(),
  object: z.literal('model'),
  /** Seconds since the epoch. */
  created: z.int(),
  owned_by: z.string(),
  /** vLLM's. */
  max_model_len: z.int(),
  slipway: z.object({
    /** It has a chat template. */
    chat: z.boolean(),
    context_length: z.int(),
    precision: Precision.nullable(),
    version: z.string().nullable(),
    loaded: z.boolean(),
  }),
});
export type ModelEntry = z.infer<typeof ModelEntry>;

export const ModelList = z.object({ object: z.literal('list'), data: z.array(ModelEntry) });
export type ModelList = z.infer<typeof ModelList>;
