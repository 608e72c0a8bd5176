/**
 * What of a run lies in its bucket, so that another machine can go on with it: a file set for each checkpoint kept, with the record and
 * events as they were then, and one for what was prepared. Owns names and layout; knows not when it is put there.
 */
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { linkOrCopy, listFiles } from '@slipway/shared/bucket/durable-files.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { readCheckpoint } from './checkpoints.ts';
import type { RunFolder } from './run-folder.ts';
import { PreparedJob } from './stages.ts';

/** Stands for the run's folder in what is put: on another machine it lies elsewhere. */
const HERE = '.';

export const checkpointsInBucket = (id: string) => `runs/${id}/checkpoints/`;
export const preparedInBucket = (id: string) => `runs/${id}/prepared`;
const finalInBucket = (id: string) => `runs/${id}/final`;

/** Of the steps in ascending order, those that go: all but the newest and the best. Pure. */
export function outdatedSteps(steps: readonly number[], keep: number, best: number | null): number[] {
  return steps.slice(0, Math.max(0, steps.length - Math.max(1, keep))).filter((step) => step !== best);
}

/** step-00000100 is 100. */
export function stepOf(name: string): number {
  return Number(/step-(\d+)$/.exec(name)?.[1]);
}

/**
 * Puts the checkpoint, and the best one where that is another and not there. Those no longer kept are removed, and what they took is freed.
 * AppError when the checkpoint is damaged, and whatever a bucket throws.
 */
export async function putCheckpoint(
  bucket: Bucket,
  id: string,
  folder: RunFolder,
  checkpoint: string,
  keep: number,
): Promise<void> {
  await putPrepared(bucket, id, folder);
  const { best } = await whole(checkpoint);
  const there = new Set(await bucket.fileSets(checkpointsInBucket(id)));
  const bestFolder = join(folder.work, 'checkpoints', `step-${String(best ?? 0).padStart(8, '0')}`);
  for (const path of best === null || best === stepOf(checkpoint) ? [checkpoint] : [bestFolder, checkpoint]) {
    const name = `${checkpointsInBucket(id)}${basename(path)}`;
    if (!there.has(name)) await putState(bucket, name, folder, path);
    there.add(name);
  }
  const names = [...there].sort();
  const outdated = new Set(outdatedSteps(names.map(stepOf), keep, best));
  const fileSets = names.filter((name) => outdated.has(stepOf(name)));
  // Removed versions stay restorable: only what nothing names goes.
  if (fileSets.length > 0) await bucket.collect({ fileSets, graceMs: Number.POSITIVE_INFINITY });
}

/** The record as it ended, which outlives the run's folder. */
export async function putFinalRecord(bucket: Bucket, id: string, folder: RunFolder): Promise<void> {
  await withSnapshot(folder, async (snapshot) => {
    for (const file of [folder.record, folder.recipe, folder.events])
      await copyFile(file, join(snapshot, basename(file)));
    await bucket.putFiles(finalInBucket(id), snapshot);
  });
}

async function putState(bucket: Bucket, name: string, folder: RunFolder, checkpoint: string): Promise<void> {
  await withSnapshot(folder, async (snapshot) => {
    const inside = join(snapshot, 'checkpoint');
    // The kernel removes a checkpoint when it has newer ones: linked, its files stay until they are put.
    for (const file of await listFiles(checkpoint)) await linkOrCopy(join(checkpoint, file), join(inside, file));
    const { files } = await whole(inside);
    for (const file of [folder.record, folder.events]) await copyFile(file, join(snapshot, basename(file)));
    const hashes = Object.entries(files).map(([path, hash]) => [`checkpoint/${path}`, hash] as const);
    await bucket.putFiles(name, snapshot, new Map(hashes));
  });
}

async function putPrepared(bucket: Bucket, id: string, folder: RunFolder): Promise<void> {
  const name = preparedInBucket(id);
  if ((await bucket.fileSets(`runs/${id}/`)).includes(name)) return;
  const job = PreparedJob.parse(JSON.parse(await readFile(folder.prepared, 'utf8')));
  await withSnapshot(folder, async (snapshot) => {
    for (const part of [folder.data, folder.tokenizer]) {
      if ((await stat(part).catch(() => undefined)) === undefined) continue;
      for (const file of await listFiles(part)) {
        await linkOrCopy(join(part, file), join(snapshot, basename(part), file));
      }
    }
    await writeFile(join(snapshot, basename(folder.prepared)), JSON.stringify(moved(job, folder.path, HERE)));
    await bucket.putFiles(name, snapshot);
  });
}

/** What was prepared, as it is called in a folder here. */
export function broughtHere(text: string, folder: RunFolder): PreparedJob {
  return moved(PreparedJob.parse(JSON.parse(text)), HERE, folder.path);
}

function moved(job: PreparedJob, from: string, to: string): PreparedJob {
  const at = (path: string) => (path.startsWith(`${from}/`) ? to + path.slice(from.length) : path);
  const { model, tokenizer, data } = job;
  return {
    ...job,
    model: model.kind === 'base' ? { ...model, path: at(model.path) } : model,
    tokenizer: at(tokenizer),
    data: { ...data, train: at(data.train), validation: data.validation === null ? null : at(data.validation) },
  };
}

async function withSnapshot(folder: RunFolder, work: (snapshot: string) => Promise<void>): Promise<void> {
  const snapshot = join(folder.work, '.snapshot');
  // A killed worker may have left one.
  await rm(snapshot, { recursive: true, force: true });
  await mkdir(snapshot, { recursive: true });
  try {
    await work(snapshot);
  } finally {
    await rm(snapshot, { recursive: true, force: true });
  }
}

async function whole(checkpoint: string) {
  const found = await readCheckpoint(checkpoint);
  if (typeof found !== 'string') return found;
  throw new AppError('invalid_source', `${checkpoint} is damaged: ${found}`);
}
