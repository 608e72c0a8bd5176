/**
 * Which models and versions the service answers for, which others its bucket has, and loading one of those.
 */
import * as z from 'zod/mini';
import { type Access, get, post } from './request.ts';
import { ServiceError } from './service-error.ts';

/** What Slipway adds to OpenAI's fields; another service does not. */
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

const Bucket = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      versions: z.array(z.object({ version: z.string(), precision: z.string(), is_loaded: z.boolean() })),
    }),
  ),
});

/** Those that answer first, then those that could be loaded. */
export async function listModels(access: Access): Promise<readonly Model[]> {
  const [answer, others] = await Promise.all([get('/v1/models', access), listBucket(access)]);
  const answering = ModelList.parse(await answer.json()).data;
  return [...answering, ...others.map((model) => likeItsKin(model, answering))];
}

/** Without its version. */
export function nameOf({ id }: Model): string {
  return id.split('@')[0] ?? id;
}

/** Of a version that is not loaded it is not known whether it chats; most often it is as the other versions of its name. */
function likeItsKin(model: Model, answering: readonly Model[]): Model {
  const chat = answering.find((other) => nameOf(other) === nameOf(model))?.slipway?.chat;
  return chat === undefined ? model : { ...model, slipway: { ...model.slipway, chat } };
}

async function listBucket(access: Access): Promise<Model[]> {
  try {
    const { models } = Bucket.parse(await (await get('/api/v1/models', access)).json());
    return models.flatMap(({ name, versions }) =>
      versions
        .filter((version) => !version.is_loaded)
        .map(({ version, precision }) => ({
          id: `${name}@${version}`,
          slipway: { version, precision, loaded: false },
        })),
    );
  } catch (error) {
    // A key may be allowed to ask models and not to see the others. What else is wrong, the list of those that answer says.
    if (error instanceof ServiceError) return [];
    throw error;
  }
}

/** Resolves when it answers, which may take minutes. */
export async function loadModel(id: string, access: Access): Promise<void> {
  await post('/models/load', { model: id }, access);
}
