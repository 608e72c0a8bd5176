/**
 * A lane: one model's column. Alone it has the whole width, two stand side by side.
 */
import type { Model } from '../api/models.ts';
import type { Asking } from '../conversation/answering.ts';
import type { Mode } from '../conversation/conversation.ts';
import { modeFor, modelOfLane, type Preferences } from '../conversation/preferences.ts';

export interface Lane {
  readonly index: number;
  readonly model: Model;
  readonly mode: Mode;
}

export function lanesOf(models: readonly Model[], { lanes, models: chosen, mode }: Preferences): Lane[] {
  return Array.from({ length: lanes }, (_, index) => index).flatMap((index) => {
    const model = modelOfLane(models, chosen, index);
    return model === null ? [] : [{ index, model, mode: modeFor(model, mode) }];
  });
}

export function askingOf(
  { index, model, mode }: Lane,
  { sampling, systemPrompt }: Preferences,
  apiKey: string,
): Asking {
  return { lane: index, model: model.id, mode, sampling, systemPrompt, apiKey };
}
