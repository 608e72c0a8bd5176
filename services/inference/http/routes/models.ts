/**
 * `GET /api/v1/models`: what the buckets have and what is loaded of it. `POST /models/load` and `/models/unload`: one more, one less.
 */
import {
  type LoadAnswer,
  type Loaded,
  type ModelsAnswer,
  parseModelRequest,
  type UnloadAnswer,
} from '@slipway/shared/contracts/models-api.ts';
import type { ListedHost, ListedModel } from '../../models/list-models.ts';
import type { Route, ServiceParts } from '../service-parts.ts';
import { visited } from '../visit.ts';

export function modelsRoute({ models }: ServiceParts): Route {
  return async (context) => {
    const { models: listed, unreadable, memory } = await models.list();
    const answer: ModelsAnswer = {
      models: listed.map(describeModel),
      unreadable: [...unreadable],
      memory: {
        engines_bytes: memory.enginesBytes,
        available_bytes: memory.availableBytes,
        limit_bytes: memory.limitBytes,
      },
    };
    return context.json(answer);
  };
}

/** Answers when the model does; the list shows how far it has come. A client that leaves earlier does not end it. */
export function loadRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const { model: wanted } = parseModelRequest(await visit.body());
    const asked = performance.now();
    const { manifest, engineProcess } = await parts.models.load(wanted);
    const answer: LoadAnswer = {
      model: wanted,
      version: manifest?.version ?? null,
      precision: manifest?.precision ?? null,
      memory_bytes: engineProcess().memoryBytes,
      seconds: Math.round(performance.now() - asked) / 1000,
    };
    return context.json(answer);
  });
}

/** Answers when what had begun is answered and the engine has ended. */
export function unloadRoute(parts: ServiceParts): Route {
  return visited(parts, async (visit, context) => {
    const { model: wanted } = parseModelRequest(await visit.body());
    const { reference, version, stillLoadedAs } = await parts.models.unload(wanted);
    const answer: UnloadAnswer = { model: reference, version, still_loaded_as: [...stillLoadedAs] };
    return context.json(answer);
  });
}

function describeModel({ name, bucket, aliases, versions, loaded }: ListedModel): ModelsAnswer['models'][number] {
  return {
    name,
    bucket,
    aliases: Object.fromEntries(aliases),
    versions: versions.map(({ version, precision, parameters, createdAt, bytes, expectedMemoryBytes, isLoaded }) => ({
      version,
      precision,
      parameters,
      created_at: createdAt,
      bytes,
      expected_memory_bytes: expectedMemoryBytes,
      is_loaded: isLoaded,
    })),
    loaded: loaded.map(describeLoaded),
  };
}

function describeLoaded(host: ListedHost): Loaded {
  const { following, lastUsedAt } = host;
  return {
    name: host.reference,
    is_default: host.isMain,
    version: host.version,
    state: host.state,
    detail: host.detail,
    following: following && {
      reference: following.reference,
      every_seconds: following.everySeconds,
      wanted: following.wanted,
      detail: following.detail,
    },
    memory_bytes: host.memoryBytes,
    requests: host.requests,
    last_used_at: lastUsedAt === null ? null : timeOf(lastUsedAt),
  };
}

/** Counted back from now: a clock that was set since says what time it was by today's reckoning. */
function timeOf(performanceNow: number): string {
  return new Date(Date.now() - (performance.now() - performanceNow)).toISOString();
}
