/**
 * Where a model is on its way to being served: what readiness says, and what generation may use. Types only.
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

export interface ModelHost {
  state(): ModelState;
  close(): Promise<void>;
}
