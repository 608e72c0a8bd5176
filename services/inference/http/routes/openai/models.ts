/**
 * `GET /v1/models` and `GET /v1/models/{model}`: what is served, as OpenAI's clients list it.
 */
import type { ModelEntry, ModelList } from '@slipway/shared/contracts/openai/model.ts';
import type { LoadedModel } from '../../../generation/loaded-model.ts';
import type { ServedModels } from '../../../models/served-models.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';

export function modelListRoute({ models }: ServiceParts): Route {
  return async (context) => {
    const loaded = models.loaded();
    // While there is none, it says why.
    const served = loaded.length > 0 ? loaded : [await models.find(undefined)];
    return context.json({ object: 'list', data: served.map((model) => entryOf(model, models)) } satisfies ModelList);
  };
}

export function modelRoute({ models }: ServiceParts): Route {
  return async (context) => context.json(entryOf(await models.find(context.req.param('model')), models));
}

const startedAt = Math.floor(Date.now() / 1000);

function entryOf(model: LoadedModel, models: ServedModels): ModelEntry {
  const { manifest, chatTemplate, engine } = model;
  return {
    id: models.idOf(model),
    object: 'model',
    created: manifest === null ? startedAt : Math.floor(Date.parse(manifest.created_at) / 1000),
    owned_by: 'slipway',
    max_model_len: engine.info.contextLength,
    slipway: {
      chat: chatTemplate !== null,
      context_length: engine.info.contextLength,
      precision: manifest?.precision ?? null,
      version: manifest?.version ?? null,
      loaded: true,
    },
  };
}
