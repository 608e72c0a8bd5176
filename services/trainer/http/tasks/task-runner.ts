/**
 * Does what callers have asked for beside the trainings, of each line one thing after the other, and keeps how each stands. Owns that what
 * a process has left unfinished is told as failed. Knows neither HTTP nor what the tasks are.
 */
import { utimes } from 'node:fs/promises';
import { HEARTBEAT_MS, isDead, isMine, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import {
  newTaskId,
  readTask,
  recordFile,
  type Task,
  type TaskKind,
  type TaskRecord,
  taskIds,
  writeResult,
  writeTask,
} from './task-record.ts';

export interface Work {
  /** For people, while it runs: `asks smol@v001`. */
  readonly message: string;
  /** Gives what is kept as the result. Rejects with the AppError that the caller is told, and when the signal aborts. */
  readonly begin: (signal: AbortSignal, id: string) => Promise<object>;
}

const MOST_WAITING = 100;
const STOPPED = 'the service ended before it was done; ask for it again';

export class TaskRunner {
  readonly #log: Logger;
  readonly #worker = newOwnedName();
  readonly #leaving = new AbortController();
  /** The files of those that wait or are worked on. */
  readonly #unfinished = new Set<string>();
  /** Of each line, when its last task has ended. */
  readonly #lines = new Map<string, Promise<void>>();
  readonly #heartbeat: NodeJS.Timeout;

  constructor(log: Logger) {
    this.#log = log;
    // So that who sees the folder from another machine knows that this one is at it.
    this.#heartbeat = setInterval(() => void this.#touch(), HEARTBEAT_MS).unref();
  }

  /** Resolves when it is written down, in `folder`. AppError overloaded, draining. */
  async submit<Subject extends object>(
    kind: TaskKind<Subject>,
    folder: string,
    subject: Subject,
    work: Work,
  ): Promise<Task<Subject>> {
    if (this.#leaving.signal.aborted) throw new AppError('draining', 'the service is leaving');
    if (this.#unfinished.size >= MOST_WAITING) {
      throw new AppError('overloaded', `${MOST_WAITING} tasks wait already`, { retryAfter: 60 });
    }
    const now = new Date();
    const record: TaskRecord = {
      id: newTaskId(kind.prefix, now),
      status: 'queued',
      message: 'waits for its turn',
      error: null,
      created_at: now.toISOString(),
      ended_at: null,
      worker: this.#worker,
    };
    const task = { ...subject, ...record };
    const file = recordFile(folder, task.id);
    this.#unfinished.add(file);
    try {
      await writeTask(folder, task);
    } catch (error) {
      this.#unfinished.delete(file);
      throw error;
    }
    const before = this.#lines.get(kind.line) ?? Promise.resolve();
    const ended = before.then(() => this.#carryOut(folder, task, work)).finally(() => this.#unfinished.delete(file));
    this.#lines.set(kind.line, ended);
    return task;
  }

  /** That of the id, or the newest. AppError not_found. */
  async find<Subject extends object>(
    kind: TaskKind<Subject>,
    folder: string,
    id: string | undefined,
  ): Promise<Task<Subject>> {
    const known = id ?? (await taskIds(kind, folder))[0];
    const found = known === undefined ? undefined : await readTask(kind, folder, known);
    if (found === undefined) {
      const which = id === undefined ? '; ask for one' : ` ${JSON.stringify(id.slice(0, 100))}`;
      throw new AppError('not_found', `there is no ${kind.noun}${which}`, { field: 'id' });
    }
    const { task, touchedAt } = found;
    if (task.status === 'succeeded' || task.status === 'failed') return task;
    const isAbandoned = isMine(task.worker) ? task.worker !== this.#worker : isDead(task.worker, touchedAt, Date.now());
    return isAbandoned ? failed(task, 'draining', STOPPED, touchedAt) : task;
  }

  /** What is not done by then has failed. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    await Promise.all(this.#lines.values());
    clearInterval(this.#heartbeat);
  }

  /** Never rejects. */
  async #carryOut(folder: string, task: TaskRecord, work: Work): Promise<void> {
    try {
      const ended = await this.#ended(folder, task, work);
      await writeTask(folder, ended);
      this.#log.info({ task: task.id, status: ended.status }, 'a task has ended');
    } catch (error) {
      this.#log.error({ err: error, task: task.id }, 'how a task ended cannot be written');
    }
  }

  async #ended(folder: string, task: TaskRecord, { message, begin }: Work): Promise<TaskRecord> {
    const { signal } = this.#leaving;
    try {
      signal.throwIfAborted();
      await writeTask(folder, { ...task, status: 'running', message });
      await writeResult(folder, task.id, await begin(signal, task.id));
      return { ...task, status: 'succeeded', message: 'is done', ended_at: new Date().toISOString() };
    } catch (error) {
      if (signal.aborted) return failed(task, 'draining', STOPPED);
      if (error instanceof AppError) return failed(task, error.code, error.message);
      this.#log.error({ err: error, task: task.id }, 'a task failed');
      return failed(task, 'internal', 'a bug; the log of the service has the rest');
    }
  }

  async #touch(): Promise<void> {
    const now = new Date();
    // One that cannot be touched is told as abandoned elsewhere, not here.
    await Promise.allSettled([...this.#unfinished].map((file) => utimes(file, now, now)));
  }
}

/** `at`: milliseconds since the epoch. */
function failed<T extends TaskRecord>(task: T, code: AppError['code'], message: string, at = Date.now()): T {
  return {
    ...task,
    status: 'failed',
    message: 'has failed',
    error: { code, message },
    ended_at: new Date(at).toISOString(),
  };
}
