/**
 * `slipway runs pause|resume|cancel`: what people ask of a run.
 */
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { askRun, type RunRecord, resumeRun } from '@slipway/trainer/runs';
import { dataFolderOf, openQueue, type RunOptions } from './data-folder.ts';

export async function ask(id: string, wish: 'paused' | 'cancelled', options: RunOptions): Promise<void> {
  await change(options, `${id} will be ${wish} between two steps`, (dataFolder, queue) =>
    askRun(dataFolder, queue, id, wish),
  );
}

export async function resume(id: string, options: RunOptions): Promise<void> {
  const after = `${id} waits for a worker. Work on it and follow: slipway runs show ${id} --follow`;
  await change(options, after, (dataFolder, queue) => resumeRun(dataFolder, queue, id));
}

async function change(
  { json }: RunOptions,
  told: string,
  act: (dataFolder: string, queue: JobQueue) => Promise<RunRecord>,
): Promise<void> {
  const dataFolder = dataFolderOf();
  const queue = await openQueue();
  const { id, state } = await act(dataFolder, queue).finally(() => queue.close());
  if (json) console.log(JSON.stringify({ run: id, state }));
  else console.log(state === 'paused' || state === 'cancelled' ? `${id} is ${state}` : told);
}
