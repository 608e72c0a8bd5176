/**
 * Files that callers have sent and that runs learn from: which a run needs still, and whether they are there. Knows where they lie.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Recipe, weightedSources } from '@slipway/shared/contracts/recipe.ts';
import { findRuns, runFolder } from './run-folder.ts';
import { hasEnded } from './run-state.ts';

/** AppError not_found calls the one that is gone by its id: where it lay concerns nobody. */
export async function requireSentFiles(recipe: Recipe, dataFolder: string): Promise<void> {
  for (const path of sentFilesOf(recipe, dataFolder)) {
    if (await isThere(path)) continue;
    const id = basename(path);
    throw new AppError('not_found', `${id} was deleted before it was read: send it again, and begin anew with that`);
  }
}

/** A run that has not read this file yet, and may. */
export async function runWaitingFor(path: string, dataFolder: string): Promise<string | undefined> {
  const waiting = await findRuns(dataFolder, {
    isWanted: ({ state, recipe }) => !hasEnded(state) && sentFilesOf(recipe, dataFolder).includes(resolve(path)),
    onDamaged: () => {},
    limit: Number.POSITIVE_INFINITY,
  });
  for (const { id } of waiting) if (!(await isThere(runFolder(dataFolder, id).prepared))) return id;
  return undefined;
}

function sentFilesOf({ data: { train, validation } }: Recipe, dataFolder: string): string[] {
  const folder = join(resolve(dataFolder), 'files');
  const heldOut = validation === null || typeof validation === 'number' ? [] : [validation].flat();
  const sources = [...weightedSources(train).map(({ source }) => source), ...heldOut];
  return sources.map((source) => resolve(source)).filter((source) => dirname(source) === folder);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
