/**
 * The files that paths, folders, globs and URLs name, in an order that does not depend on the file system. Knows nothing of contents.
 */
import { glob, readdir, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type DataRecipe, weightedSources } from '@slipway/shared/contracts/recipe.ts';
import { isUrl } from '@slipway/shared/lib/is-url.ts';
import { downloadToCache } from './download.ts';
import type { FindOptions, FoundFile, TrainedFile } from './found-file.ts';
import { isPattern } from './is-pattern.ts';

const KNOWN = /\.(json|jsonl|ndjson|csv|tsv|parquet|txt|md|text)(\.gz)?$/i;

/** AppError not_found names what leads to no file. No file is given twice. */
export async function findFiles(sources: readonly string[], options: FindOptions): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>();
  for (const source of sources) {
    const files = await filesOf(source, options);
    if (files.length === 0) throw new AppError('not_found', `${source}: there is no data file`);
    for (const file of files) found.set(file.path, found.get(file.path) ?? file);
  }
  return [...found.values()];
}

/** AppError not_found; invalid_field: a file has two weights. */
export async function findTrained(train: DataRecipe['train'], options: FindOptions): Promise<TrainedFile[]> {
  const found = new Map<string, TrainedFile>();
  for (const { source, weight } of weightedSources(train)) {
    for (const file of await findFiles([source], options)) {
      const known = found.get(file.path) ?? { ...file, weight };
      if (known.weight !== weight) {
        throw new AppError('invalid_field', `data.train: ${file.name} has two weights, ${known.weight} and ${weight}`);
      }
      found.set(file.path, known);
    }
  }
  return [...found.values()];
}

async function filesOf(source: string, options: FindOptions): Promise<FoundFile[]> {
  if (isUrl(source)) return [await downloadToCache(source, options)];
  const at = await stat(source).catch(() => undefined);
  if (at?.isDirectory()) return filesBelow(source);
  if (at) return [{ path: source, name: basename(source), bytes: at.size }];
  if (!isPattern(source)) throw new AppError('not_found', `there is nothing at ${source}`);
  const paths: string[] = [];
  for await (const path of glob(source)) paths.push(path);
  const files = await Promise.all(paths.toSorted().map(async (path) => ({ path, at: await stat(path) })));
  return files
    .filter((file) => file.at.isFile())
    .map((file) => ({ path: file.path, name: file.path, bytes: file.at.size }));
}

/** All data files below a folder; hidden ones and those of other kinds are left out. */
async function filesBelow(folder: string): Promise<FoundFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && KNOWN.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(
      (path) =>
        !relative(folder, path)
          .split(/[\\/]/)
          .some((part) => part.startsWith('.')),
    )
    .toSorted();
  return Promise.all(
    paths.map(async (path) => ({ path, name: relative(folder, path), bytes: (await stat(path)).size })),
  );
}
