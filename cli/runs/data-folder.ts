/**
 * What all commands over runs share: where runs are kept and wait, and how a followed one is reported.
 */
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { openRunQueue } from '@slipway/trainer/runs';
import { followRun } from '../train/follow-run.ts';
import { COLOURS, PLAIN } from '../train/run-lines.ts';
import { describeOutcome, exitCodeOf, outcomeForPrograms } from '../train/run-outcome.ts';

export interface RunOptions {
  readonly json?: true;
}

export function dataFolderOf(): string {
  return process.env.DATA_FOLDER || 'data';
}

/** What the trainer's service works on as well, where one runs. */
export function openQueue(): Promise<JobQueue> {
  const jobsUrl = process.env.JOBS_URL || null;
  const log = createLogger({ service: 'cli', level: 'warn', secrets: [jobsUrl], destination: process.stderr });
  return openRunQueue(dataFolderOf(), jobsUrl, log);
}

/** Sets the exit code. */
export async function reportFollowed(dataFolder: string, id: string, isJson: boolean): Promise<void> {
  const queue = await openQueue();
  const followed = followRun(dataFolder, queue, id, isJson).finally(() => queue.close());
  const { run, picture, isInterrupted } = await followed;
  const { isTTY, columns } = process.stdout;
  if (isJson) console.log(JSON.stringify(outcomeForPrograms(run)));
  else console.log(describeOutcome(run, picture, isTTY ? columns : 80, isTTY ? COLOURS : PLAIN));
  process.exitCode = exitCodeOf(run, isInterrupted);
}
