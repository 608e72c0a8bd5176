/**
 * Holds the one model that this service serves, from the first look into the bucket until it is closed, and knows at every moment
 * whether it answers.
 */
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { type EngineState, type SupervisedEngine, superviseEngine } from '../engine/index.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { loadModel } from './load-model.ts';
import type { ModelHost, ModelState } from './model-state.ts';

export interface LoadingModelHost extends ModelHost {
  /** Rejects with the AppError that kept it from loading. */
  readonly loaded: Promise<LoadedModel>;
  /** The engine's process has been started, or there will be none. */
  readonly opening: Promise<void>;
}

/** Begins to load at once. */
export function hostModel(config: ServiceConfig, log: Logger): LoadingModelHost {
  const closing = new AbortController();
  const opening = Promise.withResolvers<void>();
  let loading: ModelState = { kind: 'loading', stage: 'starting', progress: 0 };
  let model: (LoadedModel & { readonly engine: SupervisedEngine }) | undefined;

  async function load(): Promise<LoadedModel> {
    try {
      model = await loadModel(
        config,
        (spec) => {
          const engine = superviseEngine(spec, {
            signal: closing.signal,
            onState: (state) => logState(log, state),
            onLine: (line) => log.warn({ line }, 'the engine printed'),
          });
          opening.resolve();
          return engine;
        },
        (stage, progress) => {
          loading = { kind: 'loading', stage, progress };
          log.info({ progress }, stage);
        },
      );
      return model;
    } catch (error) {
      loading = { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      opening.resolve();
    }
  }

  const loaded = load();
  return {
    loaded,
    opening: opening.promise,
    state: () => (model === undefined ? loading : stateOf(model)),
    async close() {
      closing.abort();
      // It either gives a model to close or has cleaned up after itself.
      await loaded.catch(() => {});
      await model?.engine.close();
    },
  };
}

/** How a model with a supervised engine stands right now. */
export function stateOf(model: LoadedModel & { readonly engine: SupervisedEngine }): ModelState {
  const state = model.engine.state();
  if (state.kind === 'ready') return { kind: 'ready', model };
  if (state.kind === 'failed') return { kind: 'failed', reason: state.reason };
  return { kind: 'loading', stage: model.whyNotReady() ?? 'the engine has started again', progress: 0.5 };
}

function logState(log: Logger, state: EngineState): void {
  if (state.kind === 'restarting') log.error({ reason: state.reason }, 'the engine is started again');
  else log.info({ ...state }, `the engine is ${state.kind}`);
}
