/**
 * Which file sets a bucket has: one record for each, under its name, made once and gone when it is removed. The same for every kind of
 * bucket; knows no blobs and not what the files mean.
 */
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import type { FileSet } from './bucket.ts';
import { listFiles, syncToDisk, tellDiskFull } from './durable-files.ts';
import { inParallel } from './in-parallel.ts';
import { checkFileSetName, FILE_SETS, fileSetKey, isSafePath } from './keys.ts';
import type { Records } from './records.ts';

export type SetFile = FileSet['files'][number];

const FILES_AT_ONCE = 4;

const FileSetRecord = z.object({
  schema: z.literal(1),
  name: z.string(),
  created_at: z.iso.datetime(),
  files: z.array(
    z.object({
      path: z.string().refine(isSafePath, 'leaves the set'),
      bytes: z.number().int(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

export interface FileSetRecords {
  /** Sorted names of those that begin with `prefix`, which is empty or ends with a slash. */
  list(prefix: string): Promise<string[]>;
  /** AppError not_found. */
  require(name: string): Promise<FileSet>;
  /** The one act of making a set visible. One that is there and holds the same is given. AppError conflict when it holds something else. */
  create(name: string, files: readonly SetFile[]): Promise<FileSet>;
  /** The set, when it is there and holds the same. */
  same(name: string, files: readonly SetFile[]): Promise<FileSet | undefined>;
  remove(name: string): Promise<void>;
  /** All but those named. Rejects when one is damaged: what it names is then not known. */
  all(without?: readonly string[]): Promise<FileSet[]>;
}

export function openFileSets(records: Records, location: string): FileSetRecords {
  async function find(name: string): Promise<FileSet | undefined> {
    const key = fileSetKey(checkFileSetName(name));
    const text = await records.read(key);
    return text === undefined ? undefined : parse(text, name, records.where(key));
  }

  async function list(prefix: string): Promise<string[]> {
    if (prefix !== '') checkFileSetName(prefix.slice(0, -1));
    const names: string[] = [];
    for (const entry of await records.list(`${FILE_SETS}${prefix}`)) {
      if (entry.endsWith('/')) names.push(...(await list(`${prefix}${entry}`)));
      else if (entry.endsWith('.json')) names.push(`${prefix}${entry.slice(0, -'.json'.length)}`);
    }
    return names.sort();
  }

  return {
    list,
    async require(name) {
      const found = await find(name);
      if (found === undefined)
        throw new AppError('not_found', `There is no file set ${name} in the bucket ${location}.`);
      return found;
    },
    async same(name, files) {
      const there = await find(name);
      return there !== undefined && isDeepStrictEqual(there.files, files) ? there : undefined;
    },
    async create(name, files) {
      const set = {
        schema: 1,
        name: checkFileSetName(name),
        created_at: new Date().toISOString(),
        files: [...files],
      } as const;
      for (;;) {
        if (await records.create(fileSetKey(name), `${JSON.stringify(set, null, 1)}\n`)) return set;
        const there = await find(name);
        if (there === undefined) continue;
        if (isDeepStrictEqual(there.files, set.files)) return there;
        throw new AppError(
          'conflict',
          `${name} is in the bucket ${location} already, and holds something else: a file set never changes. Remove it first.`,
        );
      }
    },
    remove: (name) => records.remove(fileSetKey(checkFileSetName(name))),
    async all(without = []) {
      const sets = [];
      const left = new Set(without);
      for (const name of await list('')) if (!left.has(name)) sets.push(await find(name));
      return sets.filter((set) => set !== undefined);
    },
  };
}

/**
 * `target` becomes a folder of the set's files, whole and at once. `fetch` makes a file whole and right, and goes on with what an earlier
 * attempt left there. AppError conflict when there is something already.
 */
export async function fetchInto(
  target: string,
  { files }: FileSet,
  fetch: (file: SetFile, path: string) => Promise<void>,
): Promise<void> {
  const folder = resolve(target);
  if ((await stat(folder).catch(() => undefined)) !== undefined) {
    throw new AppError('conflict', `${target} is there already; name a folder that is not.`);
  }
  const passing = join(dirname(folder), `.${basename(folder)}.fetched`);
  await tellDiskFull(folder, async () => {
    await mkdir(passing, { recursive: true });
    const wanted = new Set(files.map(({ path }) => path));
    for (const path of await listFiles(passing)) if (!wanted.has(path)) await rm(join(passing, path));
    await inParallel(files.length, FILES_AT_ONCE, async (index) => {
      const file = files[index];
      if (file === undefined) return;
      const path = join(passing, file.path);
      await mkdir(dirname(path), { recursive: true });
      await fetch(file, path);
      await syncToDisk(path);
    });
    await syncToDisk(passing);
    await rename(passing, folder);
    await syncToDisk(dirname(folder));
  });
}

function parse(text: string, name: string, where: string): FileSet {
  try {
    const set = FileSetRecord.parse(JSON.parse(text));
    if (set.name === name) return set;
  } catch (cause) {
    throw new AppError('internal', `${where} cannot be used: it is damaged or from another version of Slipway.`, {
      cause,
    });
  }
  throw new AppError('internal', `${where} cannot be used: it names another file set.`);
}
