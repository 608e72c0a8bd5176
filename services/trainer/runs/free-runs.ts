/**
 * Makes room: ended runs lose their checkpoints, trained model and prepared data, here and in their buckets. Their record, recipe, events
 * and log stay. Which runs is decided in choose-freed.ts.
 */
import { lstat, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { chooseFreed, type Verdict } from './choose-freed.ts';
import { OpenRun } from './open-run.ts';
import { listRuns, readRun, runFolder } from './run-folder.ts';
import { checkpointsInBucket, preparedInBucket } from './run-in-bucket.ts';
import { hasEnded } from './run-state.ts';

export interface FreeRequest {
  readonly dryRun: boolean;
  readonly graceMs: number;
  /** Only when the disk has less free, and only until it has as much; null: whatever is old enough. */
  readonly belowBytes: number | null;
}

export interface FreedRuns {
  /** Oldest first. */
  readonly runs: readonly Verdict[];
  /** Freed in the data folder; files that a bucket shares are counted there. */
  readonly bytes: number;
  readonly buckets: readonly { readonly bucket: string; readonly bytes: number; readonly problem: string | null }[];
}

export async function freeRuns(dataFolder: string, { dryRun, graceMs, belowBytes }: FreeRequest): Promise<FreedRuns> {
  const records = await listRuns(dataFolder);
  if (records.length === 0) return { runs: [], bytes: 0, buckets: [] };
  const spaces = await Promise.all(
    records.map(async (run) => ({
      run: { ...run, base: run.recipe.model.base },
      bytes: (await sizesOf(dataFolder, run.id)).all,
    })),
  );
  const bytes = belowBytes === null ? Number.POSITIVE_INFINITY : belowBytes - (await freeOn(dataFolder));
  const chosen = chooseFreed(spaces, { now: Date.now(), graceMs, bytes });
  const runs = await Promise.all(
    chosen.map(async (verdict) =>
      verdict.kept !== null || dryRun || (await markFreed(dataFolder, verdict.run.id))
        ? verdict
        : { ...verdict, kept: 'was resumed in this moment' },
    ),
  );
  const freed = new Set(runs.flatMap(({ run, kept }) => (kept === null ? [run.id] : [])));
  let own = 0;
  for (const id of freed) {
    const sizes = await sizesOf(dataFolder, id);
    own += sizes.own;
    if (!dryRun) await removeParts(dataFolder, id, sizes.all);
  }
  const buckets = [];
  const places = Map.groupBy(
    records.filter(({ id }) => freed.has(id)),
    ({ bucket }) => bucket,
  );
  for (const [bucket, its] of places) {
    const ids = its.map(({ id }) => id);
    try {
      buckets.push({ bucket, bytes: await freeInBucket(bucket, ids, dryRun), problem: null });
    } catch (error) {
      buckets.push({ bucket, bytes: 0, problem: error instanceof Error ? error.message : String(error) });
    }
  }
  return { runs: runs.map(({ run, bytes: size, kept }) => ({ run, bytes: size, kept })), bytes: own, buckets };
}

/** From then on it cannot be resumed. False when somebody has resumed it since it was looked at. */
async function markFreed(dataFolder: string, id: string): Promise<boolean> {
  if (!hasEnded((await readRun(dataFolder, id)).state)) return false;
  const run = await OpenRun.open(dataFolder, id);
  try {
    await run.update(() => ({ freed_at: new Date().toISOString() }));
    return true;
  } finally {
    run.close();
  }
}

async function removeParts(dataFolder: string, id: string, bytes: number): Promise<void> {
  for (const part of partsOf(dataFolder, id)) await rm(part, { recursive: true, force: true });
  const run = await OpenRun.open(dataFolder, id);
  run.log({ type: 'log', level: 'info', message: `checkpoints, model and prepared data were removed: ${bytes} bytes` });
  run.close();
}

async function freeInBucket(address: string, ids: readonly string[], dryRun: boolean): Promise<number> {
  const bucket = openBucket(address);
  const fileSets: string[] = [];
  for (const id of ids) {
    const all = await bucket.fileSets(`runs/${id}/`);
    fileSets.push(...all.filter((name) => name.startsWith(checkpointsInBucket(id)) || name === preparedInBucket(id)));
  }
  // Removed versions stay restorable: models gc is for those.
  return fileSets.length === 0
    ? 0
    : (await bucket.collect({ fileSets, dryRun, graceMs: Number.POSITIVE_INFINITY })).bytes;
}

function partsOf(dataFolder: string, id: string): string[] {
  const { work, data } = runFolder(dataFolder, id);
  return [work, data];
}

/** `own`: of files that have no other name, such as in a bucket. */
async function sizesOf(dataFolder: string, id: string): Promise<{ all: number; own: number }> {
  const seen = new Set<number>();
  let all = 0;
  let own = 0;
  for (const part of partsOf(dataFolder, id)) {
    for (const entry of await readdir(part, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const found = await lstat(join(entry.parentPath, entry.name)).catch(() => undefined);
      if (!found?.isFile() || seen.has(found.ino)) continue;
      seen.add(found.ino);
      all += found.size;
      if (found.nlink === 1) own += found.size;
    }
  }
  return { all, own };
}

async function freeOn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
