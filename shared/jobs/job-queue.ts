/**
 * What a durable queue of jobs promises, wherever it is kept. A job is claimed for a limited time under a number that grows with each claim
 * (its fencing token): who lets the time pass loses the job to the next claim and can no longer settle it. Knows nothing of the work.
 */

export type JobState = 'waiting' | 'running' | 'completed' | 'failed' | 'cancelled';

/** Most urgent first. */
export const PRIORITIES = ['high', 'normal', 'low'] as const;
export type Priority = (typeof PRIORITIES)[number];

export interface NewJob {
  /** Chosen by who enqueues, unlike all others: the same id again gives the job that is there. */
  readonly id: string;
  /** What kind of work it is. Workers claim from one queue. */
  readonly queue: string;
  /** The caller it belongs to. */
  readonly owner: string;
  /** JSON, as are `progress` and `result`. */
  readonly payload: unknown;
  /** A more urgent job is claimed first, however long others have waited. */
  readonly priority: Priority;
  /** How often it may be begun before it counts as failed. Null: as often as needed. */
  readonly maxAttempts: number | null;
}

/** Times are milliseconds since the epoch. */
export interface Job extends NewJob {
  readonly state: JobState;
  /** How often it has been begun. */
  readonly attempts: number;
  /** Somebody wants it cancelled; who works on it is told by the next heartbeat and ends it. */
  readonly isCancelling: boolean;
  readonly progress: unknown;
  readonly result: unknown;
  readonly error: string | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
}

export interface Claim {
  readonly job: Job;
  readonly token: number;
  readonly leaseMilliseconds: number;
}

export type Outcome =
  | { readonly kind: 'completed'; readonly result: unknown }
  | { readonly kind: 'cancelled'; readonly result: unknown }
  /**
   * With `retry` it is begun again after a pause, while it has attempts left. The pause doubles with each of `tries`: how often it has
   * failed without getting further. As often as it was begun, unless given.
   */
  | { readonly kind: 'failed'; readonly error: string; readonly retry: boolean; readonly tries?: number }
  /** Given back as it is, to be claimed at once: the worker leaves. Counts as no attempt. */
  | { readonly kind: 'released' };

/** The job was claimed by another worker, or has ended: whoever gets this stops and touches nothing more. */
export class LeaseLostError extends Error {
  override readonly name = 'LeaseLostError';
}

export interface JobQueue {
  /** Durable when it resolves. AppError conflict when there is another job of this id. */
  enqueue(job: NewJob): Promise<Job>;
  /** The most urgent job, of those the longest waiting one; or one whose worker has let its lease pass. Undefined: there is nothing to do. */
  claim(queue: string, leaseMilliseconds: number): Promise<Claim | undefined>;
  /** Prolongs the lease, and stores how far the work is. True: it is to be cancelled. LeaseLostError. */
  heartbeat(claim: Claim, progress?: unknown): Promise<boolean>;
  /** Durable when it resolves. LeaseLostError. */
  settle(claim: Claim, outcome: Outcome): Promise<void>;
  /** One that was never begun ends at once, any other when its worker has ended it; one that has ended stays as it is. */
  cancel(id: string): Promise<Job | undefined>;
  find(id: string): Promise<Job | undefined>;
  /** Newest first: of one owner when given, older than the job `after` when given. */
  list(filter: JobFilter): Promise<readonly Job[]>;
  close(): Promise<void>;
}

export interface JobFilter {
  readonly queue: string;
  readonly owner?: string | undefined;
  readonly after?: string | undefined;
  readonly limit: number;
}
