/**
 * What generation tells those who measure it. Implemented by the metrics; times in seconds.
 */
import type { GenerateFinishReason } from '@slipway/shared/contracts/generate.ts';

export interface FinishedGeneration {
  readonly outcome: GenerateFinishReason | 'failed' | 'refused';
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalSeconds: number;
  readonly decodeSeconds: number;
}

export interface GenerationObserver {
  leftQueue(seconds: number): void;
  firstToken(seconds: number): void;
  /** `secondsSinceLast` is undefined for a sequence's first. */
  token(secondsSinceLast: number | undefined): void;
  finished(generation: FinishedGeneration): void;
}
