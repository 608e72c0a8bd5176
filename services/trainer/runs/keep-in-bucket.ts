/**
 * What a run that is worked on keeps in its bucket, and takes from there. A bucket that fails stops no training: it is told in the run's
 * events, and what is on this disk is enough to go on.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { CheckpointCopies } from './checkpoint-copies.ts';
import { type Checkpoint, newestCheckpoint } from './checkpoints.ts';
import { fetchNewestCheckpoint } from './fetch-run.ts';
import type { OpenRun } from './open-run.ts';
import { outdatedSteps, putCheckpoint, putFinalRecord, stepOf } from './run-in-bucket.ts';

export function copiesOf(run: OpenRun): CheckpointCopies {
  const { id, bucket, recipe } = run.record;
  const keep = recipe.training.keep_checkpoints;
  return new CheckpointCopies({
    copy: (checkpoint) => putCheckpoint(openBucket(bucket), id, run.folder, checkpoint, keep),
    onFailure: (why) => run.warn(`the newest checkpoint is on this disk only: ${why}`),
  });
}

/** Undefined, and told, when there is none to be had: the training begins at the beginning. */
export async function fetchLostCheckpoint(run: OpenRun): Promise<Checkpoint | undefined> {
  const { id, bucket } = run.record;
  try {
    return await fetchNewestCheckpoint(openBucket(bucket), id, run.folder);
  } catch (error) {
    run.warn(`no checkpoint came from the bucket: ${inWords(error)}`);
    return undefined;
  }
}

/** Of a run that has succeeded: the last checkpoint and the best stay, and the record goes to the bucket. */
export async function keepAfterSuccess(run: OpenRun): Promise<void> {
  const { id, bucket: address } = run.record;
  try {
    const checkpoints = join(run.folder.work, 'checkpoints');
    const last = await newestCheckpoint(run.folder.work, run.record.checkpoint_step, () => {});
    if (last !== undefined) {
      const names = (await readdir(checkpoints)).filter((name) => /^step-\d+$/.test(name)).sort();
      const outdated = new Set(outdatedSteps(names.map(stepOf), 1, last.best));
      for (const name of names) {
        if (outdated.has(stepOf(name))) await rm(join(checkpoints, name), { recursive: true });
      }
      await putCheckpoint(openBucket(address), id, run.folder, last.path, 1);
    }
    await putFinalRecord(openBucket(address), id, run.folder);
  } catch (error) {
    run.warn(`what is kept of the run is not all in the bucket: ${inWords(error)}`);
  }
}

function inWords(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
