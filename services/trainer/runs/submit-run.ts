/**
 * The way of a run into the queue: for the first time, and again when somebody resumes it. Its folder is whole before its job is there.
 */
import { rm } from 'node:fs/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { tellFullDisk } from '@slipway/shared/contracts/full-disk.ts';
import type { Recipe } from '@slipway/shared/contracts/recipe.ts';
import type { Job, JobQueue, Priority } from '@slipway/shared/jobs/job-queue.ts';
import { aloneWithRun } from './alone-with-run.ts';
import { describeMachine, gitCommit } from './machine.ts';
import { OpenRun } from './open-run.ts';
import { createRunFolder, forgetWish, listRuns, newRunId, readRun, readWish, runFolder } from './run-folder.ts';
import type { RunRecord, RunRequest } from './run-record.ts';
import { hasEnded, nextState } from './run-state.ts';

/** Of the jobs that train. */
export const QUEUE = 'train';

export interface Submission {
  /** Its paths are absolute. */
  readonly recipe: Recipe;
  /** What messages call the recipe's file. */
  readonly label: string;
  readonly bucketUrl: string;
  readonly owner: string;
  /** Default: normal. */
  readonly priority?: Priority | undefined;
  readonly request?: RunRequest;
}

/** AppError disk_full; then nothing of it is left. */
export async function submitRun(dataFolder: string, queue: JobQueue, submission: Submission): Promise<RunRecord> {
  const { recipe, label, bucketUrl, owner } = submission;
  const now = new Date();
  const commit = await gitCommit();
  const record: RunRecord = {
    schema: 1,
    id: newRunId(now),
    name: recipe.publish.name ?? recipe.name,
    owner,
    state: 'queued',
    priority: submission.priority ?? 'normal',
    message: 'waits for its turn',
    recipe_label: label,
    recipe,
    request: submission.request ?? null,
    bucket: bucketUrl,
    created_at: now.toISOString(),
    started_at: null,
    ended_at: null,
    queued: 1,
    attempts: 0,
    retries: {},
    checkpoint_step: null,
    micro_batch: null,
    largest_micro_batch: null,
    failure: null,
    lineage: {
      ...(commit === undefined ? {} : { git_commit: commit }),
      seeds: { training: recipe.training.seed },
    },
    hardware: { ...describeMachine(), device: null },
    durations: { preparing: 0, training: 0, publishing: 0 },
    trained: null,
    published: [],
    freed_at: null,
  };
  const folder = runFolder(dataFolder, record.id);
  try {
    const create = () => createRunFolder(folder, record);
    await tellFullDisk('the folder of a new run', 'free some space and send it again', create);
    await enqueue(queue, record);
  } catch (error) {
    // Who is told that it failed submits it again.
    await rm(folder.path, { recursive: true, force: true });
    throw error;
  }
  return record;
}

/** Puts back every run that is to be trained and that the queue knows nothing of. */
export async function requeueLost(dataFolder: string, queue: JobQueue): Promise<void> {
  for (const record of await listRuns(dataFolder)) await requeueIfLost(queue, record);
}

/** Who submitted it was killed before its job was there, or the queue has forgotten it, as a Redis does that keeps nothing on a disk. */
async function requeueIfLost(queue: JobQueue, record: RunRecord): Promise<void> {
  if (hasEnded(record.state) || record.state === 'paused') return;
  if ((await queue.find(jobIdOf(record))) === undefined) await enqueue(queue, record);
}

/** One that is queued or worked on goes on, also when it was asked to pause. AppError not_found, or conflict for one that has ended. */
export function resumeRun(dataFolder: string, queue: JobQueue, id: string): Promise<RunRecord> {
  return aloneWithRun(dataFolder, id, () => resume(dataFolder, queue, id));
}

async function resume(dataFolder: string, queue: JobQueue, id: string): Promise<RunRecord> {
  const found = await readRun(dataFolder, id);
  if (nextState(found.state, 'resume_asked') === undefined) {
    if (hasEnded(found.state)) {
      throw new AppError('conflict', `${id} is ${found.state}; only a paused or failed run can be resumed`);
    }
    // A pause that was asked for, and that nobody lived to grant, is no longer wanted.
    if ((await readWish(runFolder(dataFolder, id))) === 'paused') await forgetWish(runFolder(dataFolder, id));
    // Who submitted it may have been killed between its folder and its job.
    if ((await enqueue(queue, found)).endedAt === null) return found;
  }
  if (found.freed_at !== null) {
    throw new AppError(
      'conflict',
      `the checkpoints of ${id} were removed on ${found.freed_at.slice(0, 10)} to make room; begin it anew: slipway train ${runFolder(dataFolder, id).recipe}`,
    );
  }
  const run = await OpenRun.open(dataFolder, id);
  try {
    await forgetWish(run.folder);
    if (nextState(found.state, 'resume_asked') === undefined) {
      await run.update(({ queued }) => ({ queued: queued + 1 }));
      await enqueue(queue, run.record);
      return run.record;
    }
    const { checkpoint_step: step } = found;
    const from = step === null ? '' : `, to go on from step ${step}`;
    await run.apply('resume_asked', `waits for its turn${from}`, {
      queued: found.queued + 1,
      failure: null,
      retries: {},
      ended_at: null,
    });
    await enqueue(queue, run.record);
    return run.record;
  } finally {
    run.close();
  }
}

/** The job's name in the queue: a job that has ended is never there again, a run can be. */
export function jobIdOf({ id, queued }: RunRecord): string {
  return `${id}.${queued}`;
}

function enqueue(queue: JobQueue, record: RunRecord): Promise<Job> {
  return queue.enqueue({
    id: jobIdOf(record),
    queue: QUEUE,
    owner: record.owner,
    payload: { run: record.id },
    priority: record.priority,
    maxAttempts: null,
  });
}
