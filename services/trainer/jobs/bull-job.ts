/**
 * A job as BullMQ keeps it, with our marks beside it, and as everybody else knows it. Asks nothing of Redis but the job's state.
 */
import type { Job, JobState, NewJob } from '@slipway/shared/jobs/job-queue.ts';
import type { Standing } from '@slipway/shared/jobs/transitions.ts';
import type { Job as BullJob } from 'bullmq';

export type Stored = Pick<NewJob, 'owner' | 'payload' | 'priority' | 'maxAttempts'> & { readonly createdAt: number };
export type Result = { readonly kind: 'completed' | 'cancelled'; readonly result: unknown };
export type Bull = BullJob<Stored, Result>;

/** What BullMQ does not keep: when it was first begun, when somebody wished it cancelled, how often it was given back. */
export interface Marks {
  readonly begun: number | null;
  readonly cancelling: number | null;
  readonly released: number;
}

/** As Redis' hash names them. */
export const MARKS = ['begun', 'cancelling', 'released'] as const;

export function marksOf([begun, cancelling, released]: readonly (string | null)[]): Marks {
  return { begun: numberOrNull(begun), cancelling: numberOrNull(cancelling), released: Number(released ?? 0) };
}

/** `known`: its state, where that need not be asked. */
export async function jobOf(bull: Bull, marks: Marks, known?: JobState): Promise<Job> {
  const isUnwanted = marks.cancelling !== null && marks.begun === null;
  const state = isUnwanted ? 'cancelled' : (known ?? stateOf(await bull.getState(), bull));
  const hasEnded = state !== 'waiting' && state !== 'running';
  const { owner, payload, priority, maxAttempts, createdAt } = bull.data;
  return {
    id: idOf(bull),
    queue: bull.queueName,
    owner,
    payload,
    priority,
    maxAttempts,
    state,
    attempts: bull.attemptsStarted - marks.released,
    isCancelling: marks.cancelling !== null,
    progress: progressOf(bull.progress),
    result: state === 'completed' || state === 'cancelled' ? (bull.returnvalue?.result ?? null) : null,
    error: state === 'completed' || state === 'cancelled' ? null : (bull.failedReason ?? null),
    createdAt,
    startedAt: marks.begun,
    endedAt: hasEnded ? (bull.finishedOn ?? marks.cancelling) : null,
  };
}

export function standingOf({ state, attempts, maxAttempts, isCancelling }: Job): Standing {
  return { state, attempts, maxAttempts, isCancelling, availableAt: null };
}

/** Told to BullMQ as the reason of a failure after which it is tried again. */
export class RetryAfter extends Error {
  readonly pause: number;

  constructor(message: string, pause: number) {
    super(message);
    this.pause = pause;
  }
}

export function idOf({ id }: Bull): string {
  if (id === undefined) throw new Error('BullMQ gave a job without an id');
  return id;
}

function stateOf(state: string, bull: Bull): JobState {
  if (state === 'active') return 'running';
  if (state === 'completed') return bull.returnvalue?.kind ?? 'completed';
  return state === 'failed' ? 'failed' : 'waiting';
}

function progressOf(progress: unknown): unknown {
  return typeof progress === 'object' && progress !== null && 'value' in progress ? progress.value : null;
}

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}
