/**
 * A worker: takes runs from the queue, one after the other, and carries them out under a lease. The command line and the trainer's service
 * run the same one. Knows no stage.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Claim, type JobQueue, LeaseLostError, type Outcome } from '@slipway/shared/jobs/job-queue.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { z } from 'zod';
import { type CarriedOut, carryOutRun } from './carry-out-run.ts';
import { OpenRun } from './open-run.ts';
import { readRun, writeWish } from './run-folder.ts';
import { RunId, type RunRecord } from './run-record.ts';
import { hasEnded } from './run-state.ts';
import type { Stages } from './stages.ts';
import { jobIdOf, QUEUE, requeueLost } from './submit-run.ts';

export interface WorkOptions {
  readonly dataFolder: string;
  readonly queue: JobQueue;
  readonly stages: Stages;
  /** The worker leaves: what runs is stopped between two steps and given back. */
  readonly signal: AbortSignal;
  /** Asked between two runs: whether there is nothing more to wait for. */
  readonly isDone?: () => Promise<boolean>;
  /** Of whoever operates it: which runs begin, and how they end. */
  readonly log?: Logger;
  /** How soon another worker may take over after this one was killed. */
  readonly leaseMilliseconds?: number;
}

const LEASE_MILLISECONDS = 30_000;
const POLL_MILLISECONDS = 500;

/** What a worker leaves in the queue at every heartbeat. */
export const SignOfLife = z.object({ at: z.iso.datetime() });
type SignOfLife = z.infer<typeof SignOfLife>;

const Payload = z.object({ run: RunId });

/** Resolves when it is done or has left; needs the worker's lock. AppError disk_full. */
export async function workRuns(options: WorkOptions): Promise<void> {
  const { dataFolder, queue, signal, isDone = async () => false, leaseMilliseconds = LEASE_MILLISECONDS } = options;
  try {
    while (!signal.aborted && !(await isDone())) {
      const claim = await queue.claim(QUEUE, leaseMilliseconds);
      if (claim === undefined) await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => {});
      else await workOn(claim, options);
    }
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    // Not even what became of the run could be written.
    const message = `the disk of ${dataFolder} is full. Free some space and go on: runs are gone on with from their last checkpoint.`;
    throw new AppError('disk_full', message, { cause: error });
  }
}

async function workOn(claim: Claim, options: WorkOptions): Promise<void> {
  const { dataFolder, queue, log } = options;
  const { run: id } = Payload.parse(claim.job.payload);
  let record: RunRecord;
  try {
    record = await readRun(dataFolder, id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // Others wait behind it; once it is mended it can be resumed.
    log?.error({ run: id, reason: error.message }, 'a run cannot be worked on');
    await queue.settle(claim, { kind: 'failed', error: error.message, retry: false });
    return;
  }
  // Its worker was killed before it could end the job; perhaps somebody has resumed the run since, which made another one.
  const isOver = hasEnded(record.state) || record.state === 'paused' || jobIdOf(record) !== claim.job.id;
  if (isOver) await queue.settle(claim, outcomeOf('ended', record));
  else await carryOut(claim, await OpenRun.take(dataFolder, id), options);
}

async function carryOut(claim: Claim, run: OpenRun, options: WorkOptions): Promise<void> {
  const { dataFolder, queue, stages, signal, log } = options;
  const { id, name, owner } = run.record;
  const leave = new AbortController();
  const left = () => leave.abort(new Error('the worker leaves'));
  signal.addEventListener('abort', left, { once: true });
  // While it was claimed.
  if (signal.aborted) left();
  async function beat(): Promise<void> {
    try {
      const sign: SignOfLife = { at: new Date().toISOString() };
      const isCancelling = await queue.heartbeat(claim, sign);
      if (isCancelling) await writeWish(run.folder, 'cancelled');
    } catch (error) {
      if (error instanceof LeaseLostError) leave.abort(error);
      else run.warn(`the queue does not answer: ${String(error)}`);
    }
  }
  let beating: Promise<void> | undefined;
  const heart = setInterval(() => {
    // A queue that is slow, or away, is not made slower by asking again.
    beating ??= beat().finally(() => {
      beating = undefined;
    });
  }, claim.leaseMilliseconds / 5);
  try {
    log?.info({ run: id, name, owner }, 'a run begins');
    const carriedOut = await carryOutRun(run, stages, leave.signal);
    log?.info(summaryOf(run.record), 'a run is left');
    await queue.settle(claim, outcomeOf(carriedOut, run.record));
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error;
    // Then it has forgotten others, too.
    if ((await queue.find(claim.job.id)) === undefined) await requeueLost(dataFolder, queue);
  } finally {
    clearInterval(heart);
    signal.removeEventListener('abort', left);
    await beating;
    run.close();
  }
}

/** For the log. */
function summaryOf({ id, state, message, failure, published, durations }: RunRecord): Record<string, unknown> {
  return { run: id, state, message, class: failure?.class, published, seconds: durations };
}

/** What becomes of the job; what became of the run stands in its record. */
function outcomeOf(carriedOut: CarriedOut, record: RunRecord): Outcome {
  if (carriedOut === 'left') return { kind: 'released' };
  if (carriedOut === 'again') {
    // Those since its last checkpoint: one that gets further in between waits no longer each time.
    const tries = Object.values(record.retries).reduce((sum, times) => sum + times, 0);
    return { kind: 'failed', error: record.message, retry: true, tries };
  }
  if (record.state === 'failed') return { kind: 'failed', error: record.message, retry: false };
  if (record.state === 'cancelled') return { kind: 'cancelled', result: null };
  return { kind: 'completed', result: { state: record.state, published: record.published } };
}
