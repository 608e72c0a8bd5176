/**
 * Makes the paths of a recipe absolute: those of the file are seen from its folder, those of --set from where the user is. Looks whether a
 * base, a tokenizer and the data are there, before anything is queued. And takes the places out again, for those who get what was trained.
 */
import { stat } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { isModelReference } from '@slipway/shared/contracts/manifest.ts';
import type { ParsedRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { type Recipe, trainOf, weightedSources } from '@slipway/shared/contracts/recipe.ts';
import { isUrl } from '@slipway/shared/lib/is-url.ts';
import { isPattern } from '../data/collect/is-pattern.ts';

/** AppError not_found says what is not there, and how to get or name it. */
export async function locateRecipe(
  { recipe, isChanged }: ParsedRecipe,
  recipeFolder: string,
  workingFolder: string,
): Promise<Recipe> {
  const locate = (field: string, path: string) =>
    isUrl(path) ? path : resolve(isChanged(field) ? workingFolder : recipeFolder, path);
  const locateData = async (field: string, source: string) => {
    const path = locate(field, source);
    return isUrl(path) || isPattern(source) ? path : existing(field, path);
  };
  const { data, tokenizer, model } = recipe;
  const base = model.base === null ? null : await locateBase(model.base, locate('model.base', model.base));
  return {
    ...recipe,
    model: { ...model, base },
    tokenizer:
      tokenizer !== null && 'path' in tokenizer
        ? { path: await existing('tokenizer.path', locate('tokenizer.path', tokenizer.path)) }
        : tokenizer,
    data: {
      ...data,
      train: trainOf(
        await Promise.all(
          weightedSources(data.train).map(async ({ source, weight }) => ({
            source: await locateData('data.train', source),
            weight,
          })),
        ),
      ),
      validation:
        data.validation === null || typeof data.validation === 'number'
          ? data.validation
          : await Promise.all([data.validation].flat().map((source) => locateData('data.validation', source))),
    },
  };
}

/** Of a located recipe's paths, what the files are called: where they lie concerns nobody but this machine. */
export function withoutPlaces(recipe: Recipe): Recipe {
  const named = (path: string) => (isAbsolute(path) ? basename(path) : path);
  const all = (paths: string | readonly string[]) => [paths].flat().map(named);
  const { data, tokenizer, model } = recipe;
  return {
    ...recipe,
    model: { ...model, base: model.base === null ? null : named(model.base) },
    tokenizer: tokenizer !== null && 'path' in tokenizer ? { path: named(tokenizer.path) } : tokenizer,
    data: {
      ...data,
      train: trainOf(weightedSources(data.train).map(({ source, weight }) => ({ source: named(source), weight }))),
      validation:
        data.validation === null || typeof data.validation === 'number' ? data.validation : all(data.validation),
    },
  };
}

async function locateBase(asked: string, path: string): Promise<string> {
  if (await isThere(path)) return path;
  // A version of the bucket: looked for when the run begins.
  if (asked.includes('@') && isModelReference(asked)) return asked;
  const repository = /downloads\/([\w.-]+\/[\w.-]+)$/.exec(path)?.[1];
  const fetch =
    repository === undefined ? '' : ` Fetch it once with ./slipway models pull ${repository} --no-convert, or`;
  throw new AppError(
    'not_found',
    `model.base: there is nothing at ${path}.${fetch || ' Fetch a model with ./slipway models pull ORG/NAME --no-convert, and'} name one that is there with --set model.base=FOLDER${/^[\w-]+$/.test(asked) ? `; a version that was trained here is ${asked}@v001` : ''}`,
  );
}

async function existing(field: string, path: string): Promise<string> {
  if (await isThere(path)) return path;
  throw new AppError('not_found', `${field}: there is nothing at ${path}`);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
