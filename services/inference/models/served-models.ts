/**
 * The models that requests may name, and which one they mean. Knows nothing of how a model comes to be served.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { isServedAs } from './find-version.ts';
import type { ModelHost } from './model-state.ts';

export interface ServedModels {
  /** The model of that name; the default one when none is given. AppError not_found, or model_not_ready with the reason. */
  find(wanted: string | undefined): Promise<LoadedModel>;
  /** Those that answer now, the default one first. */
  loaded(): readonly LoadedModel[];
}

const LOADING_RETRY_AFTER = 2;

export function oneModel(host: ModelHost): ServedModels {
  return {
    async find(wanted) {
      const model = readyModel(host);
      const { name, manifest } = model;
      const version = manifest?.version;
      if (wanted === undefined || isServedAs(wanted, { name, version, aliases: model.aliases() })) return model;
      const names = version === undefined ? name : `${name} or ${name}@${version}`;
      throw new AppError('not_found', `model ${JSON.stringify(wanted)} is not served here; ${names} is`, {
        field: 'model',
      });
    },
    loaded() {
      const state = host.state();
      return state.kind === 'ready' ? [state.model] : [];
    },
  };
}

/** AppError model_not_ready with what it is doing meanwhile. */
export function readyModel(host: ModelHost): LoadedModel {
  const state = host.state();
  if (state.kind === 'ready') return state.model;
  const reason =
    state.kind === 'loading' ? `the model is not ready: ${state.stage}` : `the model failed: ${state.reason}`;
  throw new AppError('model_not_ready', reason, { retryAfter: LOADING_RETRY_AFTER });
}
