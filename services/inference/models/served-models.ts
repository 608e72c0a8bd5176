/**
 * What the service's routes may ask of the models: which one a request means, which there are, and to load or unload one. Types and
 * one question; knows nothing of how a model comes to be served.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import type { ModelList } from './list-models.ts';
import type { Following, MainState } from './model-state.ts';
import type { ModelTotals } from './model-totals.ts';

/** How long somebody waits for a model that has to be loaded first. */
export interface Waiting {
  /** Aborts when nobody waits any more. */
  readonly signal: AbortSignal;
  /** As steadyNow() has it. */
  readonly deadline: number;
}

/** The model that answers requests which name none. */
export interface MainModel {
  state(): MainState;
  /** Null when one version is served for good. */
  following(): Following | null;
}

export interface ServedModels {
  readonly main: MainModel;
  /**
   * The model of that name; the main one when none is given. Where models are loaded on demand it is loaded first, unless `waiting`
   * ends before. AppError not_found, or model_not_ready with the reason.
   */
  find(wanted: string | undefined, waiting?: Waiting): Promise<LoadedModel>;
  /** Those that answer now, the main one first. */
  loaded(): readonly LoadedModel[];
  /** What requests call it by: its name, or NAME@v001 where the name alone means another version, or none. */
  idOf(model: LoadedModel): string;
  /** What has happened so far, by the model's name. */
  totals(): ReadonlyMap<string, ModelTotals>;
  /** Why not all that should be there is; null when there is nothing to say. */
  detail(): string | null;
  /** All that the buckets have, and what is loaded of it. */
  list(): Promise<ModelList>;
  /** Resolves when it answers. AppError invalid_field, not_found, insufficient_memory, or what kept it from loading. */
  load(wanted: string): Promise<LoadedModel>;
  /** Resolves when what had begun is answered and its memory is given back. AppError invalid_field, not_found. */
  unload(wanted: string): Promise<Unloaded>;
  close(): Promise<void>;
}

export interface Unloaded {
  /** The name it was loaded under. */
  readonly reference: string;
  /** NAME@v001; null when none had been opened yet. */
  readonly version: string | null;
  /** Other names under which that version is still loaded. */
  readonly stillLoadedAs: readonly string[];
}

const LOADING_RETRY_AFTER = 2;

/** Whether requests are taken. A model that was unloaded because somebody asked for that is no failure: others may be loaded. */
export function isReady({ state }: Pick<MainModel, 'state'>): boolean {
  const { kind } = state();
  return kind === 'ready' || kind === 'unloaded';
}

/** AppError model_not_ready with what it is doing meanwhile. */
export function readyModel(model: Pick<MainModel, 'state'>): LoadedModel {
  const state = model.state();
  if (state.kind === 'ready') return state.model;
  throw whyNotReady(state);
}

export function whyNotReady(state: MainState): AppError {
  return new AppError('model_not_ready', reasonOf(state), { retryAfter: LOADING_RETRY_AFTER });
}

function reasonOf(state: MainState): string {
  switch (state.kind) {
    case 'ready':
      return 'the model was not ready a moment ago';
    case 'loading':
      return `the model is not ready: ${state.stage}`;
    case 'failed':
      return `the model failed: ${state.reason}`;
    case 'unloaded':
      return state.reason;
  }
}
