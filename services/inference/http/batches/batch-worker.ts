/**
 * Works on the batches of the queue, a few at a time, in turns: claims them, keeps the claims while the work goes on, and says what came of it.
 * Knows nothing of lines.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Claim, type JobQueue, LeaseLostError, type Outcome } from '@slipway/shared/jobs/job-queue.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { batchesWithAnswers, removeAnswers } from './batch-answers.ts';
import { BATCH_QUEUE } from './batch-job.ts';
import { BatchRun, type BatchTools } from './batch-run.ts';

export interface WorkerParts extends BatchTools {
  readonly jobs: JobQueue;
  readonly log: Logger;
}

/** Batches that are worked on side by side, so that a short one does not wait for a long one. */
const BATCHES_AT_ONCE = 4;
/** How long a batch lies still when its process was killed. */
const LEASE_MILLISECONDS = 10_000;
const HEARTBEAT_MILLISECONDS = 1000;
const LOOK_AGAIN_MILLISECONDS = 1000;

class Stopped extends Error {
  override readonly name = 'Stopped';
}

export class BatchWorker {
  readonly #parts: WorkerParts;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #working: Promise<void> = Promise.resolve();
  #woken = Promise.withResolvers<void>();

  constructor(parts: WorkerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#working = this.#work();
  }

  wake(): void {
    this.#woken.resolve();
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Stopped('the service is shutting down'));
    this.wake();
    await this.#working;
    await Promise.all(this.#running);
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    await this.#guarded('what ended batches have left could not be cleared away', () => this.#clear());
    while (!signal.aborted) {
      const claim = await this.#claim();
      if (claim !== undefined) {
        const running = this.#run(claim).finally(() => {
          this.#running.delete(running);
          this.wake();
        });
        this.#running.add(running);
        continue;
      }
      this.#woken = Promise.withResolvers();
      await Promise.race([this.#woken.promise, sleep(LOOK_AGAIN_MILLISECONDS, undefined, { ref: false })]);
    }
  }

  async #claim(): Promise<Claim | undefined> {
    if (this.#running.size >= BATCHES_AT_ONCE) return undefined;
    return this.#guarded('no batch could be claimed', () => this.#parts.jobs.claim(BATCH_QUEUE, LEASE_MILLISECONDS));
  }

  async #run(claim: Claim): Promise<void> {
    const { log, jobs } = this.#parts;
    const batch = { batch: claim.job.id, attempt: claim.job.attempts };
    log.info(batch, 'batch begun');
    const outcome = await this.#outcomeOf(claim);
    if (outcome === undefined) {
      log.warn(batch, 'batch lost to another worker');
      return;
    }
    await this.#guarded('the outcome of a batch could not be stored; it will be worked on again', async () => {
      await jobs.settle(claim, outcome);
      if (outcome.kind !== 'released') log.info({ ...batch, outcome }, 'batch ended');
      const hasEnded = outcome.kind === 'completed' || outcome.kind === 'cancelled';
      if (hasEnded) await removeAnswers(this.#parts.folder, claim.job.id);
    });
  }

  /** Undefined when it is no longer ours. */
  async #outcomeOf(claim: Claim): Promise<Outcome | undefined> {
    const run = new BatchRun(claim, this.#parts);
    const ending = new AbortController();
    const end = () => ending.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener('abort', end, { once: true });
    if (this.#stop.signal.aborted) end();
    const tell = async () => {
      if (await this.#parts.jobs.heartbeat(claim, run.progress)) run.cancel(ending);
    };
    const beating = setInterval(() => {
      tell().catch((error) => {
        if (error instanceof LeaseLostError) ending.abort(error);
        else this.#parts.log.warn({ err: error, batch: claim.job.id }, 'the claim of a batch could not be prolonged');
      });
    }, HEARTBEAT_MILLISECONDS);
    try {
      const result = await run.run(ending.signal, tell);
      return { kind: result.status === 'cancelled' ? 'cancelled' : 'completed', result };
    } catch (error) {
      if (error instanceof LeaseLostError) return undefined;
      if (error instanceof Stopped) return { kind: 'released' };
      this.#parts.log.error({ err: error, batch: claim.job.id }, 'batch interrupted');
      if (error instanceof AppError) return { kind: 'failed', error: error.message, retry: true };
      return { kind: 'failed', error: 'something went wrong here; the log says what', retry: false };
    } finally {
      clearInterval(beating);
      this.#stop.signal.removeEventListener('abort', end);
    }
  }

  /** Of batches whose process died between their end and the removal of what they had left. */
  async #clear(): Promise<void> {
    const { folder, jobs } = this.#parts;
    for (const id of await batchesWithAnswers(folder)) {
      const job = await jobs.find(id);
      if (job === undefined || job.endedAt !== null) await removeAnswers(folder, id);
    }
  }

  async #guarded<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#parts.log.error({ err: error }, what);
      return undefined;
    }
  }
}
