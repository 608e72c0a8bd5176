/**
 * Which models and versions the service answers for, and what it says of each.
 */
import * as z from 'zod/mini';
import { type Access, get } from './request.ts';

/** What Slipway adds to OpenAI's fields; another service, or an older one, does not. */
const Details = z.object({
  /** Whether it has a chat template. */
  chat: z.optional(z.boolean()),
  context_length: z.optional(z.nullable(z.number())),
  precision: z.optional(z.nullable(z.string())),
  version: z.optional(z.nullable(z.string())),
  loaded: z.optional(z.boolean()),
});

const Model = z.object({ id: z.string(), slipway: z.optional(Details) });
export type Model = z.infer<typeof Model>;

const ModelList = z.object({ data: z.array(Model) });

export async function listModels(access: Access): Promise<readonly Model[]> {
  const response = await get('/v1/models', access);
  return ModelList.parse(await response.json()).data;
}
