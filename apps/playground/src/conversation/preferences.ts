/**
 * What a reader has chosen, and the pure decisions that follow from it and from what the service has.
 */
import * as z from 'zod/mini';
import { type Model, nameOf } from '../api/models.ts';
import { DEFAULT_SAMPLING, Sampling } from '../api/sampling.ts';
import type { Mode } from './conversation.ts';

export const Preferences = z.object({
  sampling: Sampling,
  systemPrompt: z.string(),
  mode: z.enum(['auto', 'chat', 'completion']),
  /** One per lane; null: the first that the service names. */
  models: z.array(z.nullable(z.string())),
  lanes: z.union([z.literal(1), z.literal(2)]),
  theme: z.enum(['system', 'light', 'dark']),
  showProbabilities: z.boolean(),
  showSettings: z.boolean(),
});
export type Preferences = z.infer<typeof Preferences>;

export const DEFAULT_PREFERENCES: Preferences = {
  sampling: DEFAULT_SAMPLING,
  systemPrompt: '',
  mode: 'auto',
  models: [null, null],
  lanes: 1,
  theme: 'system',
  showProbabilities: false,
  showSettings: true,
};

/** The chosen one while the service has it; else the first, and for the second lane the first that is another version. */
export function modelOfLane(models: readonly Model[], chosen: readonly (string | null)[], lane: number): Model | null {
  const wanted = models.find(({ id }) => id === chosen[lane]);
  if (wanted !== undefined || lane === 0) return wanted ?? models[0] ?? null;
  const first = modelOfLane(models, chosen, 0);
  return models.find((model) => model !== first && !isSame(model, first)) ?? models[1] ?? first;
}

/** `smol` and `smol@v002` can be one version. */
function isSame(one: Model, other: Model | null): boolean {
  if (one.slipway?.version == null || other?.slipway?.version == null) return one.id === other?.id;
  return nameOf(one) === nameOf(other) && one.slipway.version === other.slipway.version;
}

/** A model of which nothing is said is taken to chat, as most do. */
export function modeFor(model: Model | null, wanted: Preferences['mode']): Mode {
  if (wanted !== 'auto') return wanted;
  return model?.slipway?.chat === false ? 'completion' : 'chat';
}
