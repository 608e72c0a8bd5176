/**
 * What callers have left here and may delete, files that they sent and tokenizers that they had trained: which of it a run needs still, and
 * whether it is there. Knows where it lies.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type Recipe, weightedSources } from '@slipway/shared/contracts/recipe.ts';
import { findRuns, runFolder } from './run-folder.ts';
import { hasEnded } from './run-state.ts';

/** AppError not_found calls the one that is gone by its id: where it lay concerns nobody. */
export async function requireLeftThings(recipe: Recipe, dataFolder: string): Promise<void> {
  for (const path of leftThingsOf(recipe, dataFolder)) {
    if (await isThere(path)) continue;
    const id = basename(path);
    throw new AppError('not_found', `${id} was deleted before it was read: begin anew with another`);
  }
}

/** A run that has not read what lies there yet, and may. */
export async function runWaitingFor(path: string, dataFolder: string): Promise<string | undefined> {
  const waiting = await findRuns(dataFolder, {
    isWanted: ({ state, recipe }) => !hasEnded(state) && leftThingsOf(recipe, dataFolder).includes(resolve(path)),
    onDamaged: () => {},
    limit: Number.POSITIVE_INFINITY,
  });
  for (const { id } of waiting) if (!(await isThere(runFolder(dataFolder, id).prepared))) return id;
  return undefined;
}

function leftThingsOf({ data: { train, validation }, tokenizer }: Recipe, dataFolder: string): string[] {
  const folders = ['files', 'tokenizers'].map((name) => join(resolve(dataFolder), name));
  const heldOut = validation === null || typeof validation === 'number' ? [] : [validation].flat();
  const made = tokenizer !== null && 'path' in tokenizer ? [tokenizer.path] : [];
  const sources = [...weightedSources(train).map(({ source }) => source), ...heldOut, ...made];
  return sources.map((source) => resolve(source)).filter((source) => folders.includes(dirname(source)));
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
