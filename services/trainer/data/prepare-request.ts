/**
 * What preparing data is asked for. Types only.
 */
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import type { ModelText } from './text-side.ts';

export type Phase = 'downloading' | 'hashing' | 'reading' | 'encoding';

export interface PrepareRequest {
  readonly data: DataRecipe;
  readonly seed: number;
  readonly text: ModelText;
  /** Tokens the model takes. */
  readonly contextLength: number;
  /** Rows of its embedding. */
  readonly vocabularySize: number;
  /** Where `train/`, `validation/`, preparation.json and rejected.jsonl are put; replaced when it was made of something else. */
  readonly folder: string;
  /** Where downloads are kept. */
  readonly cacheFolder: string;
  readonly signal?: AbortSignal | undefined;
  /** `part` is 0..1 of the phase. */
  readonly onProgress?: (phase: Phase, part: number, detail: { bytes: number; totalBytes?: number }) => void;
}
