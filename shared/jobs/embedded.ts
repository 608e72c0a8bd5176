/**
 * The job queue in one SQLite file, for the processes of one machine. Every change is one transaction; `transitions.ts` decides what it
 * changes. A claim looks at one entry of an index for each priority, however many jobs there are; claims and heartbeats may be lost in a power cut, because
 * whoever held them is then gone too.
 */
import { Database, type Row } from '../database/database.ts';
import type { Claim, Job, JobFilter, JobQueue, JobState, NewJob, Outcome } from './job-queue.ts';
import { LeaseLostError, PRIORITIES } from './job-queue.ts';
import { requireSame } from './require-same.ts';
import { AT_ONCE, cancelled, claimed, type Standing, settled } from './transitions.ts';

const SCHEMA = [
  `CREATE TABLE jobs (
     sequence INTEGER PRIMARY KEY AUTOINCREMENT,
     id TEXT NOT NULL UNIQUE,
     queue TEXT NOT NULL,
     owner TEXT NOT NULL,
     payload TEXT NOT NULL,
     max_attempts INTEGER,
     state TEXT NOT NULL,
     available_at INTEGER,
     attempts INTEGER NOT NULL,
     is_cancelling INTEGER NOT NULL,
     token INTEGER NOT NULL,
     progress TEXT,
     result TEXT,
     error TEXT,
     created_at INTEGER NOT NULL,
     started_at INTEGER,
     ended_at INTEGER
   ) STRICT;
   CREATE INDEX jobs_claimable ON jobs (queue, available_at, sequence) WHERE available_at IS NOT NULL;
   CREATE INDEX jobs_listed ON jobs (queue, owner, sequence);`,
  `ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
   DROP INDEX jobs_claimable;
   CREATE INDEX jobs_claimable ON jobs (queue, priority, available_at, sequence) WHERE available_at IS NOT NULL;`,
];

/** No lease and no pause lies further ahead. What does was written before the clock was set back, and is due. */
const FURTHEST_AHEAD = 60 * 60_000;

export function openEmbeddedQueue(file: string): JobQueue {
  return new EmbeddedQueue(new Database(file, SCHEMA));
}

class EmbeddedQueue implements JobQueue {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async enqueue(job: NewJob): Promise<Job> {
    return this.#database.transaction(() => {
      const present = this.#row(job.id);
      if (present !== undefined) return requireSame(jobOf(present), job);
      this.#database.run(
        `INSERT INTO jobs (id, queue, owner, payload, priority, max_attempts, state, available_at, attempts, is_cancelling, token, created_at)
         VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, 0, 0, 0, ?)`,
        job.id,
        job.queue,
        job.owner,
        JSON.stringify(job.payload),
        PRIORITIES.indexOf(job.priority),
        job.maxAttempts,
        AT_ONCE,
        Date.now(),
      );
      return jobOf(this.#existing(job.id));
    });
  }

  async claim(queue: string, leaseMilliseconds: number): Promise<Claim | undefined> {
    return this.#database.transaction(() => {
      for (;;) {
        const now = Date.now();
        const row = this.#due(queue, now);
        if (row === undefined) return undefined;
        const id = String(row.id);
        const next = claimed(standingOf(row), now, leaseMilliseconds);
        this.#store(id, next);
        if (next.state === 'running') return this.#begin(id, now, leaseMilliseconds);
        this.#end(id, null, `its worker vanished ${row.attempts} times`, now);
      }
    }, 'passing');
  }

  async heartbeat(claim: Claim, progress?: unknown): Promise<boolean> {
    return this.#database.transaction(() => {
      const job = standingOf(this.#held(claim));
      this.#store(claim.job.id, { ...job, availableAt: Date.now() + claim.leaseMilliseconds });
      if (progress !== undefined) {
        this.#database.run('UPDATE jobs SET progress = ? WHERE id = ?', JSON.stringify(progress), claim.job.id);
      }
      return job.isCancelling;
    }, 'passing');
  }

  async settle(claim: Claim, outcome: Outcome): Promise<void> {
    this.#database.transaction(() => {
      const { id } = claim.job;
      const now = Date.now();
      const next = settled(standingOf(this.#held(claim)), outcome, now);
      this.#store(id, next);
      const result = 'result' in outcome ? JSON.stringify(outcome.result) : null;
      const error = 'error' in outcome ? outcome.error : null;
      this.#end(id, result, error, next.availableAt === null ? now : null);
    });
  }

  async cancel(id: string): Promise<Job | undefined> {
    return this.#database.transaction(() => {
      const row = this.#row(id);
      if (row === undefined) return undefined;
      const before = standingOf(row);
      const next = cancelled(before);
      this.#store(id, next);
      if (before.availableAt !== null && next.availableAt === null) this.#end(id, null, null, Date.now());
      return jobOf(this.#existing(id));
    });
  }

  async find(id: string): Promise<Job | undefined> {
    const row = this.#row(id);
    return row === undefined ? undefined : jobOf(row);
  }

  async list({ queue, owner, after, limit }: JobFilter): Promise<readonly Job[]> {
    const before = after === undefined ? Number.MAX_SAFE_INTEGER : Number(this.#row(after)?.sequence ?? 0);
    const rows =
      owner === undefined
        ? this.#database.all(
            'SELECT * FROM jobs WHERE queue = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?',
            queue,
            before,
            limit,
          )
        : this.#database.all(
            'SELECT * FROM jobs WHERE queue = ? AND owner = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?',
            queue,
            owner,
            before,
            limit,
          );
    return rows.map(jobOf);
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  #row(id: string): Row | undefined {
    return this.#database.get('SELECT * FROM jobs WHERE id = ?', id);
  }

  #existing(id: string): Row {
    const row = this.#row(id);
    if (row === undefined) throw new Error(`job ${id} has vanished inside a transaction`);
    return row;
  }

  #begin(id: string, now: number, leaseMilliseconds: number): Claim {
    this.#database.run('UPDATE jobs SET token = token + 1, started_at = coalesce(started_at, ?) WHERE id = ?', now, id);
    const row = this.#existing(id);
    return { job: jobOf(row), token: Number(row.token), leaseMilliseconds };
  }

  /** LeaseLostError unless this claim is the job's last and its time has not been given to another. */
  #held({ job, token }: Claim): Row {
    const row = this.#row(job.id);
    if (row?.token === token && row.state === 'running') return row;
    throw new LeaseLostError(`job ${job.id} is no longer held under claim ${token}`);
  }

  #due(queue: string, now: number): Row | undefined {
    const first = 'SELECT * FROM jobs WHERE queue = ? AND priority = ? AND available_at';
    const order = 'ORDER BY available_at, sequence LIMIT 1';
    for (const priority of PRIORITIES.keys()) {
      const row =
        this.#database.get(`${first} <= ? ${order}`, queue, priority, now) ??
        this.#database.get(`${first} > ? ${order}`, queue, priority, now + FURTHEST_AHEAD);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  #store(id: string, { state, availableAt, attempts, isCancelling }: Standing): void {
    this.#database.run(
      'UPDATE jobs SET state = ?, available_at = ?, attempts = ?, is_cancelling = ? WHERE id = ?',
      state,
      availableAt,
      attempts,
      isCancelling ? 1 : 0,
      id,
    );
  }

  #end(id: string, result: string | null, error: string | null, endedAt: number | null): void {
    this.#database.run('UPDATE jobs SET result = ?, error = ?, ended_at = ? WHERE id = ?', result, error, endedAt, id);
  }
}

function standingOf(row: Row): Standing {
  return {
    // The column is written by #store and nothing else.
    state: row.state as JobState,
    availableAt: numberOrNull(row.available_at),
    attempts: Number(row.attempts),
    maxAttempts: numberOrNull(row.max_attempts),
    isCancelling: row.is_cancelling === 1,
  };
}

function jobOf(row: Row): Job {
  const { state, attempts, maxAttempts, isCancelling } = standingOf(row);
  return {
    id: String(row.id),
    queue: String(row.queue),
    owner: String(row.owner),
    payload: json(row.payload),
    priority: PRIORITIES[Number(row.priority)] ?? 'normal',
    maxAttempts,
    state,
    attempts,
    isCancelling,
    progress: json(row.progress),
    result: json(row.result),
    error: row.error === null ? null : String(row.error),
    createdAt: Number(row.created_at),
    startedAt: numberOrNull(row.started_at),
    endedAt: numberOrNull(row.ended_at),
  };
}

function numberOrNull(value: Row[string] | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function json(value: Row[string] | undefined): unknown {
  return typeof value === 'string' ? JSON.parse(value) : null;
}
