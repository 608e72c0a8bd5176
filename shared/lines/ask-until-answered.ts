/**
 * Asks an endpoint until it has given an answer that counts: what passes by itself is asked again after a pause, a failure of the engine a few
 * times. Knows nothing of what is asked and how.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Attempt {
  readonly status: number;
  /** What the endpoint itself advised. */
  readonly retryAfterSeconds?: number | undefined;
}

/** Full, shutting down, not ready yet, too many; and given up for somebody who could not wait. */
const PASSING = new Set([429, 499, 503]);
const FAILURES = new Set([500, 502]);
const MOST_FAILURES = 3;
const SHORTEST_PAUSE_MILLISECONDS = 50;
const LONGEST_PAUSE_MILLISECONDS = 5000;

/** `mostAttempts`: then also what would pass is the answer. Rejects with what `ask` rejects with, and when the signal aborts. */
export async function askUntilAnswered<T extends Attempt>(
  ask: () => Promise<T>,
  mostAttempts: number,
  signal: AbortSignal,
): Promise<T> {
  let failures = 0;
  for (let attempt = 1; ; attempt++) {
    const answer = await ask();
    signal.throwIfAborted();
    if (FAILURES.has(answer.status)) failures++;
    const isPassing = PASSING.has(answer.status) || (FAILURES.has(answer.status) && failures < MOST_FAILURES);
    if (!isPassing || attempt >= mostAttempts) return answer;
    const own = SHORTEST_PAUSE_MILLISECONDS * 2 ** (attempt - 1);
    const advised = (answer.retryAfterSeconds ?? 0) * 1000;
    await sleep(Math.min(LONGEST_PAUSE_MILLISECONDS, Math.max(own, advised)), undefined, { signal });
  }
}
