/**
 * A run brought from its bucket to a machine that has nothing of it, or whose checkpoints are gone: the newest checkpoint kept there, the
 * best one, and everything around them. Owns the order; a run's folder is whole or not there.
 */
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { errorCode, syncToDisk } from '@slipway/shared/bucket/durable-files.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { stringify } from 'yaml';
import { type Checkpoint, readCheckpoint } from './checkpoints.ts';
import { oneAtATime } from './file-lock.ts';
import { type RunFolder, runFolder, writeRun } from './run-folder.ts';
import { broughtHere, checkpointsInBucket, preparedInBucket, stepOf } from './run-in-bucket.ts';
import { RunId, RunRecord } from './run-record.ts';

/**
 * Afterwards the run lies in the data folder, paused where its newest checkpoint in the bucket is. Nothing happens when it is there already.
 * AppError not_found when the bucket has none, and whatever a bucket throws; what has come is gone on with by the next call, and by one
 * process at a time.
 */
export async function fetchRun(dataFolder: string, bucketUrl: string, id: string): Promise<void> {
  const folder = runFolder(dataFolder, id);
  if (!RunId.safeParse(id).success || (await isThere(folder.path))) return;
  const bucket = openBucket(bucketUrl);
  const newest = (await bucket.fileSets(checkpointsInBucket(id))).at(-1);
  if (newest === undefined) {
    throw new AppError(
      'not_found',
      `there is no run ${id} in ${dirname(folder.path)}, and no checkpoint of it in ${bucket.location}`,
    );
  }
  await oneAtATime(join(dirname(folder.path), 'fetch.lock'), async () => {
    if (!(await isThere(folder.path))) await fetchAside(dataFolder, bucket, bucketUrl, id, newest);
  });
}

/** Beside its place, which it takes when it is whole. */
async function fetchAside(
  dataFolder: string,
  bucket: Bucket,
  bucketUrl: string,
  id: string,
  newest: string,
): Promise<void> {
  const folder = runFolder(dataFolder, id);
  const aside = runFolder(dataFolder, `.${id}.fetched`);
  const parts = join(aside.path, 'parts');
  // A folder that was being put together is begun anew: of it some parts are gone.
  if (await isThere(aside.work)) await rm(aside.path, { recursive: true });
  await mkdir(parts, { recursive: true });
  const [newestPart] = await fetchCheckpoints(bucket, newest, parts);
  const preparedPart = await fetchOnce(bucket, preparedInBucket(id), parts);

  const record = RunRecord.parse(JSON.parse(await readFile(join(newestPart, 'run.json'), 'utf8')));
  const prepared = broughtHere(await readFile(join(preparedPart, 'prepared.json'), 'utf8'), folder);
  if (prepared.model.kind === 'base' && !(await isThere(prepared.model.path))) {
    throw new AppError(
      'not_found',
      `${id} goes on from the base ${prepared.model.path}, which is not on this machine. Put it there, and try again.`,
    );
  }
  await rename(join(newestPart, 'events.jsonl'), aside.events);
  for (const part of [aside.data, aside.tokenizer]) {
    await rename(join(preparedPart, basename(part)), part).catch(unlessMissing);
  }
  await writeFile(aside.prepared, JSON.stringify(prepared));
  await writeFile(aside.recipe, stringify(record.recipe));
  await placeCheckpoints(parts, aside);
  await rm(parts, { recursive: true });
  await writeRun(aside, {
    ...record,
    state: 'paused',
    message: `came from the bucket at step ${stepOf(newest)}`,
    bucket: bucketUrl,
    checkpoint_step: stepOf(newest),
    // What was made after the checkpoint is on another disk; it is made again.
    trained: null,
    ended_at: null,
  });
  await rename(aside.path, folder.path);
  await syncToDisk(dirname(folder.path));
}

/** For a run whose own checkpoints are gone or damaged. Undefined when the bucket has none either. */
export async function fetchNewestCheckpoint(
  bucket: Bucket,
  id: string,
  folder: RunFolder,
): Promise<Checkpoint | undefined> {
  const newest = (await bucket.fileSets(checkpointsInBucket(id))).at(-1);
  if (newest === undefined) return undefined;
  const parts = join(folder.work, 'fetched');
  await rm(parts, { recursive: true, force: true });
  await mkdir(parts, { recursive: true });
  await fetchCheckpoints(bucket, newest, parts);
  await placeCheckpoints(parts, folder);
  await rm(parts, { recursive: true });
  const found = await readCheckpoint(join(folder.work, 'checkpoints', basename(newest)));
  return typeof found === 'string' ? undefined : found;
}

/** The newest and, because a training ends with it, the best. Gives their folders, the newest first. */
async function fetchCheckpoints(bucket: Bucket, newest: string, parts: string): Promise<[string, ...string[]]> {
  const newestPart = await fetchOnce(bucket, newest, parts);
  const found = await readCheckpoint(join(newestPart, 'checkpoint'));
  if (typeof found === 'string') throw new AppError('internal', `${newest} in ${bucket.location} is damaged: ${found}`);
  if (found.best === null || found.best === found.step) return [newestPart];
  const best = `${dirname(newest)}/step-${String(found.best).padStart(8, '0')}`;
  return [newestPart, await fetchOnce(bucket, best, parts)];
}

async function fetchOnce(bucket: Bucket, name: string, parts: string): Promise<string> {
  const target = join(parts, basename(name));
  if (!(await isThere(target))) await bucket.fetchFiles(name, target);
  return target;
}

async function placeCheckpoints(parts: string, { work }: RunFolder): Promise<void> {
  await mkdir(join(work, 'checkpoints'), { recursive: true });
  for (const name of (await readdir(parts)).filter((part) => /^step-\d+$/.test(part))) {
    const target = join(work, 'checkpoints', name);
    await rm(target, { recursive: true, force: true });
    await rename(join(parts, name, 'checkpoint'), target);
  }
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function unlessMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}
