/**
 * Where everything of a run lies: DATA_FOLDER/runs/RUN_ID. Knows names, and how run.json is replaced: a reader sees the old or the new one.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { errorCode, syncToDisk, writeDurably } from '@slipway/shared/bucket/durable-files.ts';
import { inParallel } from '@slipway/shared/bucket/in-parallel.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { stringify } from 'yaml';
import { z } from 'zod';
import { RunId, RunRecord } from './run-record.ts';

export interface RunFolder {
  readonly path: string;
  readonly record: string;
  readonly recipe: string;
  readonly events: string;
  readonly kernelLog: string;
  /** What somebody asked of the run. */
  readonly wish: string;
  /** Held by who asks something of the run, or grants it: nobody may change it between the look and the deed. */
  readonly lock: string;
  /** Who works on it: whoever took it up last. */
  readonly holder: string;
  /** What the published versions answer to the recipe's prompts. */
  readonly samples: string;
  /** Prepared datasets. */
  readonly data: string;
  /** A tokenizer of its own. */
  readonly tokenizer: string;
  /** The kernel's: job, checkpoints, model. */
  readonly work: string;
  /** What the kernel is told, once it is prepared. */
  readonly prepared: string;
  /** Which process the kernel is. */
  readonly kernel: string;
}

export function runFolder(dataFolder: string, id: string): RunFolder {
  const path = join(runsFolder(dataFolder), id);
  const inside = (name: string) => join(path, name);
  return {
    path,
    record: inside('run.json'),
    recipe: inside('recipe.yaml'),
    events: inside('events.jsonl'),
    kernelLog: inside('kernel.log'),
    wish: inside('wish'),
    lock: inside('lock'),
    holder: inside('holder'),
    samples: inside('samples.jsonl'),
    data: inside('data'),
    tokenizer: inside('tokenizer'),
    work: inside('work'),
    prepared: inside('prepared.json'),
    kernel: inside('kernel'),
  };
}

function runsFolder(dataFolder: string): string {
  return join(resolve(dataFolder), 'runs');
}

/** Sorted by name they are sorted by time. */
export function newRunId(now: Date): string {
  const [day = '', time = ''] = now.toISOString().replaceAll(/[-:]/g, '').split('T');
  return `run-${day}-${time.slice(0, 6)}-${randomBytes(3).toString('hex')}`;
}

export async function createRunFolder(folder: RunFolder, record: RunRecord): Promise<void> {
  await mkdir(folder.work, { recursive: true });
  await writeFile(folder.recipe, stringify(record.recipe));
  await writeFile(folder.events, '');
  await writeRun(folder, record);
  await syncToDisk(dirname(folder.path));
}

/** Durable when it resolves. `beforeIsSeen` may throw. */
export async function writeRun(folder: RunFolder, record: RunRecord, beforeIsSeen?: () => void): Promise<void> {
  await replaceFile(folder.record, `${JSON.stringify(record, null, 2)}\n`, beforeIsSeen);
  await syncToDisk(folder.path);
}

/**
 * As a whole, under a passing name of its own: several may write it at once, and two containers may have processes of the same number.
 * `beforeIsSeen` may throw; then the file is as it was.
 */
export async function replaceFile(path: string, text: string, beforeIsSeen = () => {}): Promise<void> {
  const passing = `${path}.${randomBytes(4).toString('hex')}.passing`;
  try {
    await writeDurably(passing, text);
    beforeIsSeen();
    await rename(passing, path);
  } catch (error) {
    await rm(passing, { force: true });
    throw error;
  }
}

/** AppError not_found; invalid_source when its record is damaged. */
export async function readRun(dataFolder: string, id: string): Promise<RunRecord> {
  const folder = runFolder(dataFolder, id);
  const text = RunId.safeParse(id).success ? await readFile(folder.record, 'utf8').catch(unlessMissing) : undefined;
  if (text === undefined) {
    throw new AppError(
      'not_found',
      `there is no run ${id} in ${runsFolder(dataFolder)}; slipway runs list shows those there are`,
    );
  }
  try {
    return RunRecord.parse(JSON.parse(text));
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new AppError(
      'invalid_source',
      `${id}/run.json is damaged, or of another version: ${why}. Put it back from a backup, or move ${id} away.`,
      { cause },
    );
  }
}

/** Called for a run whose record is damaged, which is left out. */
type OnDamaged = (id: string, why: string) => void;

/** Newest first. */
export async function listRuns(dataFolder: string, onDamaged: OnDamaged = () => {}): Promise<RunRecord[]> {
  const ids = await runIds(dataFolder);
  const runs: (RunRecord | undefined)[] = [];
  await inParallel(ids.length, READ_AT_ONCE, async (index) => {
    runs[index] = await readRunOr(dataFolder, ids[index] ?? '', onDamaged);
  });
  return runs.filter((run) => run !== undefined);
}

export interface RunFilter {
  readonly isWanted: (run: RunRecord) => boolean;
  readonly onDamaged: OnDamaged;
  /** Only runs older than this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Newest first; reads no more runs than it must. */
export async function findRuns(
  dataFolder: string,
  { isWanted, onDamaged, after, limit }: RunFilter,
): Promise<RunRecord[]> {
  const found: RunRecord[] = [];
  for (const id of await runIds(dataFolder)) {
    if (found.length >= limit) break;
    if (after !== undefined && id >= after) continue;
    const run = await readRunOr(dataFolder, id, onDamaged);
    if (run !== undefined && isWanted(run)) found.push(run);
  }
  return found;
}

/** Files that are open at the same time. */
const READ_AT_ONCE = 32;

/** Newest first. */
async function runIds(dataFolder: string): Promise<string[]> {
  const names = await readdir(runsFolder(dataFolder)).catch(unlessMissing);
  return (names ?? [])
    .filter((name) => RunId.safeParse(name).success)
    .toSorted()
    .reverse();
}

export const Wish = z.enum(['paused', 'cancelled']);
export type Wish = z.infer<typeof Wish>;

export async function writeWish({ wish }: RunFolder, what: Wish): Promise<void> {
  await replaceFile(wish, what);
}

export async function readWish({ wish }: RunFolder): Promise<Wish | undefined> {
  const text = await readFile(wish, 'utf8').catch(unlessMissing);
  return text === undefined ? undefined : Wish.parse(text);
}

export async function forgetWish({ wish }: RunFolder): Promise<void> {
  await rm(wish, { force: true });
}

function unlessMissing(error: unknown): undefined {
  if (errorCode(error) !== 'ENOENT') throw error;
}

/** Undefined also while its folder is being made, or when it has just been removed. */
async function readRunOr(dataFolder: string, id: string, onDamaged: OnDamaged): Promise<RunRecord | undefined> {
  try {
    return await readRun(dataFolder, id);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code !== 'not_found') onDamaged(id, error.message);
    return undefined;
  }
}
