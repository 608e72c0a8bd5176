/**
 * The job queue in Redis, for the processes of several machines. BullMQ moves the jobs; here its locks become leases with fencing numbers,
 * and its jobs can be listed by owner and cancelled. A lease that has passed is taken over at the second look for stalled jobs. What was
 * acknowledged is as durable as Redis is set up to be (`appendonly yes`, `appendfsync always`).
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type Claim,
  type Job,
  type JobFilter,
  type JobQueue,
  LeaseLostError,
  type NewJob,
  type Outcome,
  PRIORITIES,
} from '@slipway/shared/jobs/job-queue.ts';
import { requireSame } from '@slipway/shared/jobs/require-same.ts';
import { claimed, settled } from '@slipway/shared/jobs/transitions.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { Queue, UnrecoverableError, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import {
  type Bull,
  idOf,
  jobOf,
  MARKS,
  type Marks,
  marksOf,
  type Result,
  RetryAfter,
  type Stored,
  standingOf,
} from './bull-job.ts';
import { BEGIN, CANCEL, HOLD, INDEX } from './redis-scripts.ts';

const BULL_PREFIX = 'slipway';
const OWN_PREFIX = 'slipway-jobs';
/** From a job's fetching to its lease; who dies in between holds it so long. */
const FETCH_LOCK = 30_000;
/** What a dead worker held waits for two of them behind its lease. */
const STALLED_CHECK = 5000;

/** Its memory is full, or it cannot keep on its disk what it takes. */
const REFUSAL = /\b(OOM command not allowed|MISCONF)\b/;

interface Held {
  readonly bull: Bull;
  readonly lock: string;
}

export interface RedisQueueOptions {
  /** Milliseconds between looks for jobs whose lease has passed. */
  readonly stalledCheck?: number;
}

/** `url`: redis://... or rediss://...; while Redis is away calls wait for it. */
export function openRedisQueue(url: string, log: Logger, options: RedisQueueOptions = {}): JobQueue {
  return new RedisQueue(url, log, options.stalledCheck ?? STALLED_CHECK);
}

class RedisQueue implements JobQueue {
  readonly #redis: Redis;
  readonly #log: Logger;
  readonly #stalledCheck: number;
  readonly #queues = new Map<string, Queue<Stored, Result>>();
  readonly #workers = new Map<string, Worker<Stored, Result>>();
  readonly #held = new Map<string, Held>();

  constructor(url: string, log: Logger, stalledCheck: number) {
    this.#log = log;
    this.#stalledCheck = stalledCheck;
    this.#redis = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true });
    this.#redis.on('error', (error: Error) => log.error({ reason: error.message }, 'the Redis of the jobs fails'));
  }

  /** AppError overloaded too: Redis takes nothing more. */
  async enqueue(job: NewJob): Promise<Job> {
    try {
      return await this.#enqueue(job);
    } catch (error) {
      if (!(error instanceof Error && REFUSAL.test(error.message))) throw error;
      throw new AppError('overloaded', 'the Redis of the jobs takes nothing more: look at its memory and its disk', {
        cause: error,
      });
    }
  }

  async #enqueue(job: NewJob): Promise<Job> {
    const { id, queue, owner, payload, priority, maxAttempts } = job;
    // Listed before it is there: a job that is there and in no list would never be found again.
    const known = await this.#redis.eval(
      INDEX,
      4,
      jobKey(id),
      SEQUENCE,
      listKey(queue),
      listKey(queue, owner),
      id,
      queue,
    );
    if (known === queue) {
      const stored: Stored = { owner, payload, priority, maxAttempts, createdAt: Date.now() };
      await this.#queue(queue).add('job', stored, {
        jobId: id,
        // Its 0 is no priority, and comes before all.
        priority: PRIORITIES.indexOf(priority) + 1,
        // Whether it is tried again is decided when it is settled.
        attempts: Number.MAX_SAFE_INTEGER,
        backoff: { type: 'custom' },
      });
    }
    return requireSame(await this.#existing(id), job);
  }

  async claim(queue: string, leaseMilliseconds: number): Promise<Claim | undefined> {
    for (;;) {
      const lock = randomUUID();
      const bull: Bull | undefined = await this.#worker(queue).getNextJob(lock, { block: false });
      if (bull === undefined) return undefined;
      const id = idOf(bull);
      const token = bull.attemptsStarted;
      this.#held.set(holdingOf(id, token), { bull, lock });
      const isWanted = (await this.#redis.eval(BEGIN, 1, jobKey(id), Date.now())) === 1;
      const job = await jobOf(bull, await this.#marks(id), 'running');
      const claim = { job, token, leaseMilliseconds };
      // BullMQ has counted this attempt already.
      const next = claimed({ ...standingOf(job), attempts: job.attempts - 1 }, Date.now(), leaseMilliseconds);
      if (isWanted && next.state === 'running') {
        await this.#hold(claim);
        return claim;
      }
      if (isWanted && next.state === 'failed') {
        await this.#finish(claim, (held) => held.bull.moveToFailed(vanished(job.attempts - 1), held.lock));
      } else {
        await this.#finish(claim, (held) =>
          held.bull.moveToCompleted({ kind: 'cancelled', result: null }, held.lock, false),
        );
      }
    }
  }

  async heartbeat(claim: Claim, progress?: unknown): Promise<boolean> {
    const { bull } = await this.#hold(claim);
    // In an object: BullMQ's own beginning is a bare 0.
    if (progress !== undefined) await bull.updateProgress({ value: progress });
    return (await this.#marks(claim.job.id)).cancelling !== null;
  }

  async settle(claim: Claim, outcome: Outcome): Promise<void> {
    await this.#hold(claim);
    const { job } = claim;
    // While it is held nothing else of it changes.
    const isCancelling = (await this.#marks(job.id)).cancelling !== null;
    const now = Date.now();
    const next = settled({ ...standingOf(job), isCancelling }, outcome, now);
    if (outcome.kind === 'released') {
      await this.#redis.hincrby(jobKey(job.id), 'released', 1);
      await this.#finish(claim, ({ bull, lock }) => bull.moveToWait(lock));
    } else if (next.state === 'completed' || next.state === 'cancelled') {
      const result: Result = { kind: next.state, result: 'result' in outcome ? (outcome.result ?? null) : null };
      await this.#finish(claim, ({ bull, lock }) => bull.moveToCompleted(result, lock, false));
    } else {
      const message = 'error' in outcome ? outcome.error : '';
      const pause = next.availableAt === null ? null : next.availableAt - now;
      const error = pause === null ? new UnrecoverableError(message) : new RetryAfter(message, pause);
      await this.#finish(claim, ({ bull, lock }) => bull.moveToFailed(error, lock));
    }
  }

  async cancel(id: string): Promise<Job | undefined> {
    const before = await this.find(id);
    if (before === undefined || before.endedAt !== null) return before;
    await this.#redis.eval(CANCEL, 1, jobKey(id), Date.now());
    return this.find(id);
  }

  async find(id: string): Promise<Job | undefined> {
    const queue = await this.#redis.hget(jobKey(id), 'queue');
    const bull: Bull | undefined = queue === null ? undefined : await this.#queue(queue).getJob(id);
    return bull === undefined ? undefined : jobOf(bull, await this.#marks(id));
  }

  async list({ queue, owner, after, limit }: JobFilter): Promise<readonly Job[]> {
    const key = listKey(queue, owner);
    const score = after === undefined ? '+inf' : await this.#redis.zscore(key, after);
    if (score === null) return [];
    const ids = await this.#redis.zrange(key, `(${score}`, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, limit);
    const jobs = await Promise.all(ids.map((id) => this.find(id)));
    return jobs.filter((job) => job !== undefined);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    this.#redis.disconnect();
  }

  #queue(name: string): Queue<Stored, Result> {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue = new Queue<Stored, Result>(name, { connection: this.#redis, prefix: BULL_PREFIX });
    queue.on('error', (error) => this.#log.error({ reason: error.message }, 'the Redis of the jobs fails'));
    this.#queues.set(name, queue);
    return queue;
  }

  /** Asked for jobs by hand: it runs nothing by itself but the looks for stalled jobs. */
  #worker(name: string): Worker<Stored, Result> {
    const known = this.#workers.get(name);
    if (known !== undefined) return known;
    const worker = new Worker<Stored, Result>(name, null, {
      connection: this.#redis,
      prefix: BULL_PREFIX,
      autorun: false,
      lockDuration: FETCH_LOCK,
      stalledInterval: this.#stalledCheck,
      // How often workers may vanish is each job's own affair.
      maxStalledCount: Number.MAX_SAFE_INTEGER,
      settings: { backoffStrategy: (_attempts, _type, error) => (error instanceof RetryAfter ? error.pause : 0) },
    });
    worker.on('error', (error) => this.#log.error({ reason: error.message }, 'the Redis of the jobs fails'));
    void worker.startStalledCheckTimer();
    this.#workers.set(name, worker);
    return worker;
  }

  /** Prolongs the lease, or takes it up again where it has passed and nobody else has the job. LeaseLostError. */
  async #hold({ job, token, leaseMilliseconds }: Claim): Promise<Held> {
    const held = this.#held.get(holdingOf(job.id, token));
    if (held === undefined) throw lost(job.id, token);
    const { toKey } = this.#queue(job.queue);
    const keys = [`${toKey(job.id)}:lock`, toKey(job.id), toKey('active'), toKey('stalled')];
    const isHeld = await this.#redis.eval(HOLD, keys.length, ...keys, held.lock, leaseMilliseconds, token, job.id);
    if (isHeld === 1) return held;
    this.#held.delete(holdingOf(job.id, token));
    throw lost(job.id, token);
  }

  async #finish({ job, token }: Claim, move: (held: Held) => Promise<unknown>): Promise<void> {
    const name = holdingOf(job.id, token);
    const held = this.#held.get(name);
    if (held === undefined) throw lost(job.id, token);
    try {
      await move(held);
    } catch (error) {
      // BullMQ's words for a lock that is gone, or that another holds by now.
      const isLost = error instanceof Error && /lock|not in the active state/i.test(error.message);
      if (!isLost) throw error;
      // Sent again after Redis was away, it finds done what it did itself: without another claim nobody else can have ended the job.
      const now = await this.#queue(job.queue).getJob(job.id);
      if (now?.finishedOn === undefined || now.attemptsStarted !== token) throw lost(job.id, token);
    } finally {
      this.#held.delete(name);
    }
  }

  async #existing(id: string): Promise<Job> {
    const job = await this.find(id);
    if (job === undefined) throw new Error(`job ${id} has vanished from Redis`);
    return job;
  }

  async #marks(id: string): Promise<Marks> {
    return marksOf(await this.#redis.hmget(jobKey(id), ...MARKS));
  }
}

const SEQUENCE = `${OWN_PREFIX}:sequence`;

function jobKey(id: string): string {
  return `${OWN_PREFIX}:job:${id}`;
}

function listKey(queue: string, owner?: string): string {
  return owner === undefined ? `${OWN_PREFIX}:all:${queue}` : `${OWN_PREFIX}:of:${queue}:${owner}`;
}

function holdingOf(id: string, token: number): string {
  return `${token} ${id}`;
}

function vanished(attempts: number): UnrecoverableError {
  return new UnrecoverableError(`its worker vanished ${attempts} times`);
}

function lost(id: string, token: number): LeaseLostError {
  return new LeaseLostError(`job ${id} is no longer held under claim ${token}`);
}
