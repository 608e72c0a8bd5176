/**
 * A run from where it stands to its end, or to where it must wait: prepare, train, publish, each stage once, however often it is begun
 * again. Owns the order, what people ask for meanwhile, and what a failure makes of the run.
 */
import { readFile } from 'node:fs/promises';
import { isFullDisk, isRefusedPath } from '@slipway/shared/bucket/durable-files.ts';
import { AppError, type ErrorCode } from '@slipway/shared/contracts/errors.ts';
import { LeaseLostError } from '@slipway/shared/jobs/job-queue.ts';
import type { Failure } from '../supervisor/classify-exit.ts';
import { KernelError } from '../supervisor/kernel-error.ts';
import type { FailureClass } from '../supervisor/kernel-protocol.ts';
import { mayTryAgain } from '../supervisor/retry-policy.ts';
import { oneAtATime } from './file-lock.ts';
import { copiesOf, fetchLostCheckpoint, keepAfterSuccess } from './keep-in-bucket.ts';
import type { OpenRun } from './open-run.ts';
import { forgetWish, readWish, replaceFile, type Wish } from './run-folder.ts';
import { Trained } from './run-record.ts';
import { RunStop } from './run-stop.ts';
import { type Kernels, PreparedJob, type Stages, type StageTools } from './stages.ts';
import { startTraining, type Training } from './train.ts';

/** `again`: it waits in the queue for another try. `left`: the worker left it. */
export type CarriedOut = 'ended' | 'again' | 'left';

const PROGRESS_MILLISECONDS = 500;

/** `leave`: the worker must go, or has lost the run; its reason says which. */
export async function carryOutRun(run: OpenRun, stages: Stages, leave: AbortSignal): Promise<CarriedOut> {
  // What cannot be written down has not begun: it is not the run that has failed.
  await run.apply('taken', 'begins', {
    started_at: run.record.started_at ?? new Date().toISOString(),
    failure: null,
  });
  const stop = new RunStop(run, leave);
  const copies = copiesOf(run);
  let training: Training | undefined;
  try {
    await stop.listen();
    stop.signal.throwIfAborted();
    const tools = toolsFor(run, stop.signal);
    const kernels = await stages.kernel(run, tools);
    if (run.record.trained === null) {
      training = await startTraining(run, kernels.training, {
        onCheckpoint: (path) => copies.offer(path),
        fetchCheckpoint: () => fetchLostCheckpoint(run),
      });
    }
    const prepared = await prepareOnce(run, stages, kernels, tools);
    if (training !== undefined) {
      await run.apply('prepared', 'trains');
      const failure = await trainOnce(run, prepared, training, stop);
      if (failure !== undefined) {
        await copies.settled();
        return await fail(run, failure);
      }
      // Asked while the kernel wrote its model: that is kept, and proven when the run is resumed.
      stop.signal.throwIfAborted();
    } else await run.apply('prepared', 'is trained');
    await run.apply('trained', 'is proven and published');
    await timed(run, 'publishing', () => stages.publish(run, prepared, kernels, tools));
    await copies.settled();
    await run.apply('published', `published ${run.record.published.join(', ')}`, {
      ended_at: new Date().toISOString(),
    });
    await forgetWish(run.folder);
    await keepAfterSuccess(run);
    return 'ended';
  } catch (error) {
    // Somebody else's by now: nothing of it is touched any more.
    const lost = [error, leave.reason].find((reason) => reason instanceof LeaseLostError);
    if (lost !== undefined) {
      copies.abandon();
      throw lost;
    }
    await copies.settled();
    if (leave.aborted) {
      await run.apply('given_back', 'waits for its turn');
      return 'left';
    }
    if (stop.wish !== undefined) return await granted(run, stop.wish);
    return await fail(run, failureOf(error));
  } finally {
    stop.end();
    await training?.end();
  }
}

/** Resolves with a failure, or with nothing when the model is trained; throws when the run stops. */
async function trainOnce(
  run: OpenRun,
  prepared: PreparedJob,
  training: Training,
  stop: RunStop,
): Promise<Failure | undefined> {
  stop.stopsKernel(training.kernel);
  const outcome = await training.train(prepared);
  if (outcome.kind === 'failed') {
    if (stop.signal.aborted) run.log({ type: 'failure', ...outcome.failure });
    // It was to stop, and has: what it died of on the way does not count.
    stop.signal.throwIfAborted();
    return outcome.failure;
  }
  if (outcome.kind === 'stopped') throw new Error(`the kernel has ${outcome.reason}`);
  const { data, error } = Trained.safeParse(outcome.result);
  if (data === undefined)
    return {
      class: 'protocol',
      message: `the kernel's result is not whole: ${error.message}`,
      step: null,
      example: null,
    };
  await run.update(() => ({ trained: data }));
  return undefined;
}

async function prepareOnce(run: OpenRun, stages: Stages, kernels: Kernels, tools: StageTools): Promise<PreparedJob> {
  const file = run.folder.prepared;
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return PreparedJob.parse(JSON.parse(known));
  const prepared = await timed(run, 'preparing', () => stages.prepare(run, kernels, tools));
  await replaceFile(file, JSON.stringify(prepared));
  await run.update(({ lineage }) => ({ lineage: { ...lineage, ...prepared.lineage } }));
  return prepared;
}

async function timed<T>(run: OpenRun, stage: 'preparing' | 'publishing', work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  try {
    return await work();
  } finally {
    const seconds = (performance.now() - startedAt) / 1000;
    await run.update(({ durations }) => ({ durations: { ...durations, [stage]: durations[stage] + seconds } }));
  }
}

/** While nobody asks for anything else: what was asked since is granted as well. */
function granted(run: OpenRun, heard: Wish): Promise<CarriedOut> {
  return oneAtATime<CarriedOut>(run.folder.lock, async () => {
    const wish = (await readWish(run.folder)) ?? heard;
    const ended_at = wish === 'cancelled' ? new Date().toISOString() : null;
    const step = run.record.checkpoint_step;
    const message = wish === 'cancelled' ? 'was cancelled' : step === null ? 'is paused' : `is paused at step ${step}`;
    await run.apply(wish, message, { ended_at });
    await forgetWish(run.folder);
    return 'ended';
  });
}

async function fail(run: OpenRun, failure: Failure): Promise<CarriedOut> {
  const { class: kind } = failure;
  const retries = run.record.retries[kind] ?? 0;
  run.log({ type: 'failure', ...failure });
  const smaller = kind === 'out_of_memory' ? Math.floor((run.record.micro_batch ?? 1) / 2) : undefined;
  if (!mayTryAgain(kind, retries) || smaller === 0) {
    // Before anybody hears of it: who does looks here for what it failed of.
    await run.update(() => ({ failure }));
    await run.apply('failed', firstLine(failure.message), { ended_at: new Date().toISOString() });
    return 'ended';
  }
  await run.apply('failed_for_now', `is tried again: ${firstLine(failure.message)}`, {
    failure,
    retries: { ...run.record.retries, [kind]: retries + 1 },
    ...(smaller === undefined ? {} : { largest_micro_batch: smaller }),
  });
  return 'again';
}

const CLASS_OF_CODE: Readonly<Partial<Record<ErrorCode, FailureClass>>> = {
  disk_full: 'disk_full',
  parity_failed: 'parity_failed',
  insufficient_memory: 'out_of_memory',
  source_unavailable: 'unavailable',
  bucket_unavailable: 'unavailable',
};

function failureOf(error: unknown): Failure {
  if (error instanceof KernelError) return error.failure;
  const rest = { step: null, example: null };
  if (error instanceof AppError) {
    const kind = CLASS_OF_CODE[error.code] ?? (error.code === 'internal' ? 'internal' : 'user_input');
    return { class: kind, message: error.message, ...rest };
  }
  if (isRefusedPath(error)) return { class: 'user_input', message: error.message, ...rest };
  if (isFullDisk(error)) return { class: 'disk_full', message: `${error.message}: free some space`, ...rest };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { class: 'internal', message, ...rest };
}

function toolsFor(run: OpenRun, signal: AbortSignal): StageTools {
  let told = '';
  let toldAt = 0;
  return {
    signal,
    onProgress: (phase, part, detail) => {
      const now = performance.now();
      if (phase === told && part < 1 && now - toldAt < PROGRESS_MILLISECONDS) return;
      told = phase;
      toldAt = now;
      run.log({ type: 'phase', phase, part, ...(detail === undefined ? {} : { detail }) });
    },
  };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
