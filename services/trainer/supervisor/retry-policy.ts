/**
 * Whether another try may help after a failure. How long to wait before it is the queue's. Pure.
 */
import type { FailureClass } from './kernel-protocol.ts';

/** Tries after the first, without a new checkpoint in between. A class that is not here fails the same way again. */
const RETRIES: Readonly<Partial<Record<FailureClass, number>>> = {
  crashed: 3,
  stuck: 3,
  device: 3,
  unavailable: 3,
  disk_full: 5,
  // Each with half as much at once.
  out_of_memory: 8,
};

export function mayTryAgain(failure: FailureClass, retries: number): boolean {
  return retries < (RETRIES[failure] ?? 0);
}
