/**
 * Makes room: ended runs lose their checkpoints, trained model and prepared data, here and in their buckets. Their record, recipe, events
 * and log stay. Which runs is decided in choose-freed.ts, which examples go with them in unneeded-examples.ts.
 */
import { lstat, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileSet } from '@slipway/shared/bucket/bucket.ts';
import { isFullDisk } from '@slipway/shared/bucket/durable-files.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { aloneWithRun } from './alone-with-run.ts';
import { chooseFreed, type Verdict } from './choose-freed.ts';
import { examplesOf } from './keep-examples.ts';
import { OpenRun } from './open-run.ts';
import { listRuns, runFolder } from './run-folder.ts';
import { checkpointsInBucket, preparedInBucket } from './run-in-bucket.ts';
import type { RunRecord } from './run-record.ts';
import { hasEnded } from './run-state.ts';
import { unneededExamples } from './unneeded-examples.ts';

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
  readonly buckets: readonly FreedInBucket[];
}

interface FreedInBucket {
  readonly bucket: string;
  readonly bytes: number;
  /** File sets of examples that no version and no run names. */
  readonly examples: readonly string[];
  /** Why nothing was freed. */
  readonly problem: string | null;
}

export async function freeRuns(dataFolder: string, request: FreeRequest): Promise<FreedRuns> {
  const { dryRun, graceMs, belowBytes } = request;
  const damaged: string[] = [];
  const records = await listRuns(dataFolder, (id) => damaged.push(id));
  if (records.length === 0) return { runs: [], bytes: 0, buckets: [] };
  const spaces = await Promise.all(
    records.map(async (run) => ({
      run: { ...run, base: run.recipe.model.base },
      bytes: (await sizesOf(dataFolder, run.id)).all,
    })),
  );
  const missing = belowBytes === null ? Number.POSITIVE_INFINITY : belowBytes - (await freeOn(dataFolder));
  const chosen = chooseFreed(spaces, { now: Date.now(), graceMs, bytes: missing });
  const runs: Verdict[] = [];
  let own = 0;
  for (const verdict of chosen) {
    const { id } = verdict.run;
    const sizes = verdict.kept === null ? await sizesOf(dataFolder, id) : { all: 0, own: 0 };
    const isFree = verdict.kept !== null || dryRun || (await freeRun(dataFolder, id, sizes.all));
    if (isFree) own += sizes.own;
    runs.push(isFree ? verdict : { ...verdict, kept: 'was resumed in this moment' });
  }
  const freed = new Set(runs.flatMap(({ run, kept }) => (kept === null ? [run.id] : [])));
  const isFreed = ({ id, freed_at }: RunRecord) => freed.has(id) || freed_at !== null;
  // Whatever became of those that cannot be read: they have their examples.
  const kept = [...damaged, ...records.filter((run) => !isFreed(run)).map(({ id }) => id)];
  const buckets = missing <= 0 ? [] : await freeInBuckets(dataFolder, records, isFreed, kept, request);
  return { runs: runs.map(({ run, bytes, kept }) => ({ run, bytes, kept })), bytes: own, buckets };
}

async function freeInBuckets(
  dataFolder: string,
  records: readonly RunRecord[],
  isFreed: (run: RunRecord) => boolean,
  kept: readonly string[],
  request: FreeRequest,
): Promise<FreedInBucket[]> {
  const ids = records.filter(isFreed).map(({ id }) => id);
  const used = Promise.all(kept.map((id) => examplesOf(runFolder(dataFolder, id))));
  const buckets: FreedInBucket[] = [];
  for (const bucket of new Set(records.map((run) => run.bucket))) {
    try {
      const names = new Set((await used).flat());
      buckets.push({ bucket, ...(await freeInBucket(bucket, ids, names, request)), problem: null });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      buckets.push({ bucket, bytes: 0, examples: [], problem });
    }
  }
  return buckets;
}

/** From then on it cannot be resumed. False when somebody has resumed it since it was looked at. */
function freeRun(dataFolder: string, id: string, bytes: number): Promise<boolean> {
  return aloneWithRun(dataFolder, id, async () => {
    const run = await OpenRun.open(dataFolder, id);
    const mark = () => run.update(() => ({ freed_at: new Date().toISOString() }));
    try {
      if (!hasEnded(run.record.state)) return false;
      const isMarked = await mark().then(
        () => true,
        (error) => {
          // Not even the mark fits: it comes when there is room.
          if (isFullDisk(error)) return false;
          throw error;
        },
      );
      for (const part of partsOf(dataFolder, id)) await rm(part, { recursive: true, force: true });
      if (!isMarked) await mark();
      const message = `checkpoints, model and prepared data were removed: ${bytes} bytes`;
      run.log({ type: 'log', level: 'info', message });
      return true;
    } finally {
      run.close();
    }
  });
}

async function freeInBucket(
  address: string,
  ids: readonly string[],
  used: ReadonlySet<string>,
  { dryRun, graceMs }: FreeRequest,
): Promise<Pick<FreedInBucket, 'bytes' | 'examples'>> {
  const bucket = openBucket(address);
  const { manifests, fileSets } = await bucket.contents();
  const isOfFreed = ({ name }: FileSet) =>
    ids.some((id) => name.startsWith(checkpointsInBucket(id)) || name === preparedInBucket(id));
  const rest = fileSets.filter((set) => !isOfFreed(set));
  const examples = unneededExamples({ manifests, fileSets: rest }, { used, before: Date.now() - graceMs });
  const gone = [...fileSets.filter(isOfFreed).map(({ name }) => name), ...examples];
  if (gone.length === 0) return { bytes: 0, examples };
  // Removed versions stay restorable: models gc is for those.
  const { bytes } = await bucket.collect({ fileSets: gone, dryRun, graceMs: Number.POSITIVE_INFINITY });
  return { bytes, examples };
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
