/**
 * Where a model is on its way to being served, and which version is to take its place: what readiness says, and what generation may
 * use. Types only.
 */
import type { LoadedModel } from '../generation/loaded-model.ts';

export type ModelState =
  | {
      readonly kind: 'loading';
      /** In words, for people: `reading the tokenizer`. */
      readonly stage: string;
      /** 0..1. */
      readonly progress: number;
    }
  | { readonly kind: 'ready'; readonly model: LoadedModel }
  | { readonly kind: 'failed'; readonly reason: string };

/** Of the model that answers requests which name none: it may have been unloaded because somebody asked for that. */
export type MainState = ModelState | { readonly kind: 'unloaded'; readonly reason: string };

/** A name in the bucket that is looked up again and again, because it may come to point at another version. */
export interface Following {
  /** NAME or NAME@champion. */
  readonly reference: string;
  readonly everySeconds: number;
  /** The version it points at, when that is not the one that answers. */
  readonly wanted: string | null;
  /** In words: what is being done about it, or why it is not. Null when there is nothing to say. */
  readonly detail: string | null;
}
