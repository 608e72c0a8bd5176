/**
 * What all commands over runs share: where runs are kept and wait, and how a followed one is reported.
 */
import { absoluteAddress } from '@slipway/shared/bucket/open-bucket.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { openRunQueue, type RunRecord } from '@slipway/trainer/runs';
import { type FollowOptions, followRun } from '../train/follow-run.ts';
import { COLOURS, PLAIN } from '../train/run-lines.ts';
import { describeOutcome, exitCodeOf, outcomeForPrograms } from '../train/run-outcome.ts';
import type { RunPicture } from '../train/run-picture.ts';

export interface RunOptions {
  readonly json?: true;
}

export function dataFolderOf(): string {
  return process.env.DATA_FOLDER || 'data';
}

/** Where a run publishes; a folder's path is absolute. */
export function bucketAddress(asked?: string): string {
  return absoluteAddress(asked ?? (process.env.BUCKET_URL || 'bucket'));
}

/** What the trainer's service works on as well, where one runs. */
export function openQueue(): Promise<JobQueue> {
  const jobsUrl = process.env.JOBS_URL || null;
  const log = createLogger({ service: 'cli', level: 'warn', secrets: [jobsUrl], destination: process.stderr });
  return openRunQueue(dataFolderOf(), jobsUrl, log);
}

/** Sets the exit code. */
export async function reportFollowed(dataFolder: string, id: string, options: FollowOptions): Promise<void> {
  const queue = await openQueue();
  const followed = followRun(dataFolder, queue, id, options).finally(() => queue.close());
  const { run, picture, isInterrupted } = await followed;
  if (options.isJson) console.log(JSON.stringify(outcomeForPrograms(run)));
  else showOutcome(run, picture);
  process.exitCode = exitCodeOf(run, isInterrupted);
}

export function showOutcome(run: RunRecord, picture: RunPicture): void {
  const { isTTY, columns } = process.stdout;
  console.log(describeOutcome(run, picture, bucketAddress(), isTTY ? columns : 80, isTTY ? COLOURS : PLAIN));
}
