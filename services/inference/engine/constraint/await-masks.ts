/**
 * The wait for masks that are not there yet when the model is done with its step: a moment, since a sequence that sits out costs a step.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Guide } from './guide.ts';

const PATIENCE_MILLISECONDS = 5;

export async function awaitMasks(guides: readonly (Guide | undefined)[]): Promise<void> {
  const late = guides.flatMap((guide) => (guide?.masks ? [] : (guide?.answered ?? [])));
  if (late.length === 0) return;
  const patience = new AbortController();
  const expired = sleep(PATIENCE_MILLISECONDS, undefined, { signal: patience.signal }).catch(() => {});
  await Promise.race([Promise.allSettled(late), expired]);
  patience.abort();
}
