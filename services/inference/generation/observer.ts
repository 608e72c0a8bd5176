/**
 * What a request tells those who watch it, in this order. Implemented by the metrics and by the traces; times in seconds.
 */
import type { GenerateFinishReason } from '@slipway/shared/contracts/generate.ts';

export interface FinishedGeneration {
  readonly outcome: GenerateFinishReason | 'failed' | 'refused';
  /** Of the outputs that came to an end. */
  readonly finishReasons: readonly GenerateFinishReason[];
  readonly promptTokens: number;
  /** Of all outputs together, and of the longest of them. */
  readonly completionTokens: number;
  readonly longestOutput: number;
  /** As asked for, within the limits. */
  readonly outputs: number;
  readonly maxNewTokens: number;
  readonly totalSeconds: number;
  /** From a slot to the first token, and from there to the end; 0 where it did not come so far. */
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
}

export interface GenerationObserver {
  /** It asks for its turn. */
  arrived(): void;
  /** Its first sequence has a slot. */
  leftQueue(seconds: number): void;
  /** One of its sequences has a slot; so many tokens of its prompt need not be computed. */
  sequenceStarted(promptTokens: number, cachedTokens: number): void;
  firstToken(seconds: number): void;
  /** `secondsSinceLast` is undefined for a sequence's first. */
  token(secondsSinceLast: number | undefined): void;
  /** Once, whatever happens. */
  finished(generation: FinishedGeneration): void;
}
