/**
 * How far a training is and how long it will still take, from the last lines of its log. Pure.
 */
import { z } from 'zod';
import type { LoggedEvent } from '../../runs/run-event.ts';

export const TrainingProgress = z.object({
  step: z.int(),
  total_steps: z.int(),
  epoch: z.number(),
  loss: z.number(),
  learning_rate: z.number(),
  tokens_per_second: z.number(),
  /** When it was so far. */
  at: z.iso.datetime(),
  /** Seconds until the last step at the speed of the last steps; null where that is not known yet. */
  eta_seconds: z.number().nullable(),
});
export type TrainingProgress = z.infer<typeof TrainingProgress>;

/** Null while no step is known. */
export function trainingProgress(events: readonly LoggedEvent[]): TrainingProgress | null {
  const lastStart = events.findLastIndex(({ type }) => type === 'started');
  const steps = events.filter((event) => event.type === 'progress');
  const last = steps.at(-1);
  if (last === undefined) return null;
  // An attempt's own steps: between two attempts a run may have waited for days.
  const [first] = events.slice(lastStart + 1).filter((event) => event.type === 'progress');
  const { step, total_steps, epoch, loss, learning_rate, tokens_per_second, at } = last;
  const seconds = first === undefined ? 0 : (Date.parse(at) - Date.parse(first.at)) / 1000;
  const done = first === undefined ? 0 : step - first.step;
  const eta_seconds = done > 0 && seconds > 0 ? ((total_steps - step) * seconds) / done : null;
  return { step, total_steps, epoch, loss, learning_rate, tokens_per_second, at, eta_seconds };
}
