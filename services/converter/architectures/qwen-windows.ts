/**
 * Which layers of a Qwen see only a window: those named in `layer_types`, or those from `max_window_layers` on; usually none.
 */
import { z } from 'zod';

export const qwenWindows = {
  use_sliding_window: z.boolean().default(false),
  sliding_window: z.number().int().positive().nullable().default(4096),
  max_window_layers: z.number().int().nonnegative().default(28),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
};

/** Positions that a token of the layer sees; null: all. */
export function windowOf(config: z.infer<z.ZodObject<typeof qwenWindows>>, layer: number): number | null {
  const { layer_types: types, max_window_layers: first } = config;
  const local = types ? types[layer] === 'sliding_attention' : layer >= first;
  return config.use_sliding_window && local ? config.sliding_window : null;
}
