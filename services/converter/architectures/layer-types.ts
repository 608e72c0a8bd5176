/**
 * Which layers see only a window: those that `layer_types` names, or, in a Qwen without it, those from `max_window_layers` on.
 */
import { z } from 'zod';

const size = z.number().int().positive();

/** What each layer is, by name. */
export const layerTypes = { layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish() };

export const qwenWindows = {
  ...layerTypes,
  use_sliding_window: z.boolean().default(false),
  sliding_window: size.nullable().default(4096),
  max_window_layers: z.number().int().nonnegative().default(28),
};

interface Layers {
  readonly num_hidden_layers: number;
  readonly layer_types?: readonly string[] | null | undefined;
}

/** For `refine`: where layers are named, all are. */
export const namesEveryLayer: [(config: Layers) => boolean, { path: PropertyKey[]; error: string }] = [
  ({ layer_types: types, num_hidden_layers: layers }) => !types || types.length === layers,
  { path: ['layer_types'], error: 'must name each of the num_hidden_layers layers' },
];

/** Positions that a token of a Qwen's layer sees; null: all. */
export function windowOf(config: z.infer<z.ZodObject<typeof qwenWindows>>, layer: number): number | null {
  const { layer_types: types, max_window_layers: first } = config;
  const local = types ? types[layer] === 'sliding_attention' : layer >= first;
  return config.use_sliding_window && local ? config.sliding_window : null;
}
