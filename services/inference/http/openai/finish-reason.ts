/**
 * Why an answer ended, in OpenAI's words. Pure.
 */
import type { GenerateFinishReason } from '@slipway/shared/contracts/generate.ts';

const REASONS = { eos: 'stop', stop: 'stop', length: 'length', timeout: null, cancelled: null } as const;

/** Null while it goes on; what ends by a deadline ends with an error instead. */
export function finishReasonOf(reason: GenerateFinishReason | null): 'stop' | 'length' | null {
  return reason === null ? null : REASONS[reason];
}
