/**
 * How a job's standing changes: by a claim, an outcome, a wish to cancel. Pure: data in, data out.
 */
import type { JobState, Outcome } from './job-queue.ts';

export interface Standing {
  readonly state: JobState;
  /** When it may be claimed, in milliseconds since the epoch: for a running job the end of its lease. Null once it has ended. */
  readonly availableAt: number | null;
  readonly attempts: number;
  readonly maxAttempts: number | null;
  readonly isCancelling: boolean;
}

/** Since always: neither a pause nor a clock that is set back keeps it waiting. */
export const AT_ONCE = 0;
const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 5 * 60_000;

/** It has ended instead when its workers have vanished as often as it allows. */
export function claimed(job: Standing, now: number, leaseMilliseconds: number): Standing {
  const isExhausted = job.maxAttempts !== null && job.attempts >= job.maxAttempts;
  if (isExhausted) return { ...job, state: job.isCancelling ? 'cancelled' : 'failed', availableAt: null };
  return { ...job, state: 'running', attempts: job.attempts + 1, availableAt: now + leaseMilliseconds };
}

export function settled(job: Standing, outcome: Outcome, now: number): Standing {
  const ended = (state: JobState): Standing => ({ ...job, state, availableAt: null });
  if (outcome.kind === 'released') {
    return { ...job, state: 'waiting', attempts: job.attempts - 1, availableAt: AT_ONCE };
  }
  if (outcome.kind !== 'failed') return ended(outcome.kind);
  if (job.isCancelling) return ended('cancelled');
  const mayRetry = outcome.retry && (job.maxAttempts === null || job.attempts < job.maxAttempts);
  return mayRetry
    ? { ...job, state: 'waiting', availableAt: now + pauseAfter(outcome.tries ?? job.attempts) }
    : ended('failed');
}

export function cancelled(job: Standing): Standing {
  if (job.availableAt === null) return job;
  const wasBegun = job.state === 'running' || job.attempts > 0;
  return wasBegun ? { ...job, isCancelling: true } : { ...job, state: 'cancelled', availableAt: null };
}

/** Doubles with every try. */
function pauseAfter(tries: number): number {
  return Math.min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** (tries - 1));
}
