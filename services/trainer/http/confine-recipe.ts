/**
 * What a recipe that came over HTTP may read: files that were sent, and what lies in the folders that the operator has opened. Its paths
 * become absolute here; what they lead to elsewhere is answered as if it were not there.
 */
import { glob, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { isModelReference } from '@slipway/shared/contracts/manifest.ts';
import { type Recipe, trainOf, weightedSources } from '@slipway/shared/contracts/recipe.ts';
import { isUrl } from '@slipway/shared/lib/is-url.ts';
import { isPattern } from '../data/collect/is-pattern.ts';

export interface Readable {
  readonly dataRoots: readonly string[];
  readonly modelRoots: readonly string[];
  /** The path of a file that was sent, by its id. AppError not_found. */
  readonly sentFile: (id: string, field: string) => string;
  /** The folder of a tokenizer that was trained here, by its id. AppError not_found, conflict when it is not done. */
  readonly trainedTokenizer: (id: string, field: string) => Promise<string>;
}

const IS_SENT = /^file-[0-9a-f]+$/;
const IS_TRAINED_TOKENIZER = /^tok-[0-9a-f-]+$/;
const MOST_MATCHES = 10_000;
const MOST_PATTERNS = 100;
const LONGEST_PATTERN = 300;
/** What every name is matched against grows with each alternative in another, and repetitions of repetitions never come to an end. */
const IS_COSTLY = /\{.*\{|[?*+@!]\(/s;

/** AppError not_found, invalid_field. */
export async function confineRecipe(recipe: Recipe, readable: Readable): Promise<Recipe> {
  const { data, model, tokenizer } = recipe;
  const train = await confineSources('data.train', weightedSources(data.train), readable);
  const heldOut = data.validation === null || typeof data.validation === 'number' ? [] : [data.validation].flat();
  const validation = await confineSources(
    'data.validation',
    heldOut.map((source) => ({ source, weight: 1 })),
    readable,
  );
  return {
    ...recipe,
    model: { ...model, base: model.base === null ? null : await confineBase('model.base', model.base, readable) },
    tokenizer:
      tokenizer !== null && 'path' in tokenizer
        ? { path: await confineTokenizer(tokenizer.path, readable) }
        : tokenizer,
    data: {
      ...data,
      train: trainOf(train),
      validation: heldOut.length === 0 ? data.validation : validation.map(({ source }) => source),
    },
  };
}

async function confineTokenizer(path: string, { modelRoots, trainedTokenizer }: Readable): Promise<string> {
  if (IS_TRAINED_TOKENIZER.test(path)) return trainedTokenizer(path, 'tokenizer.path');
  return within('tokenizer.path', path, modelRoots, 'MODEL_ROOTS');
}

type Sources = ReturnType<typeof weightedSources>;

/**
 * One after the other: what many patterns find together is bounded, and so is the work; and what fails while another is awaited would be
 * nobody's, and end the process.
 */
async function confineSources(field: string, sources: Sources, readable: Readable): Promise<Sources> {
  if (sources.filter(({ source }) => isPattern(source)).length > MOST_PATTERNS) {
    throw new AppError('invalid_field', `${field}: more than ${MOST_PATTERNS} patterns`, { field });
  }
  const found: Sources = [];
  for (const { source, weight } of sources) {
    for (const path of await confineData(field, source, readable)) found.push({ source: path, weight });
    if (found.length > MOST_MATCHES) throw tooMany(field, 'all that is named');
  }
  return found;
}

/** A version of the bucket as it is named, anything else as a path below the folders of models. AppError not_found. */
export async function confineBase(field: string, base: string, { modelRoots }: Readable): Promise<string> {
  if (base.includes('@') && isModelReference(base)) return base;
  return within(field, base, modelRoots, 'MODEL_ROOTS');
}

/** A file that was sent, or what a path or pattern names below the folders of data. AppError not_found, invalid_field. */
export async function confineData(field: string, source: string, { dataRoots, sentFile }: Readable): Promise<string[]> {
  if (IS_SENT.test(source)) return [sentFile(source, field)];
  if (isUrl(source)) {
    throw new AppError('invalid_field', `${field}: URLs are not fetched for requests; send the file to /v1/files`, {
      field,
    });
  }
  if (!isPattern(source)) return [await within(field, source, dataRoots, 'DATA_ROOTS')];
  if (source.length > LONGEST_PATTERN || IS_COSTLY.test(source)) {
    throw new AppError(
      'invalid_field',
      `${field}: a pattern of at most ${LONGEST_PATTERN} characters with one { } and no ( ) is looked for; give several`,
      { field },
    );
  }
  const found: string[] = [];
  for (const root of await Promise.all(dataRoots.map(realPathOf))) {
    if (root === undefined || isAbsolute(source) || source.includes('..')) continue;
    for await (const match of glob(source, { cwd: root })) {
      const path = await realPathOf(join(root, match));
      if (path !== undefined && isBelow(path, root)) found.push(path);
      if (found.length > MOST_MATCHES) throw tooMany(field, source);
    }
  }
  if (found.length === 0) throw missing(field, source, 'DATA_ROOTS');
  return found.toSorted();
}

/** The one path, links followed. */
async function within(field: string, path: string, roots: readonly string[], setting: string): Promise<string> {
  for (const folder of roots) {
    const root = await realPathOf(folder);
    const found = root === undefined ? undefined : await realPathOf(resolve(root, path));
    if (root !== undefined && found !== undefined && isBelow(found, root)) return found;
  }
  throw missing(field, path, setting);
}

function isBelow(path: string, root: string): boolean {
  const way = relative(root, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

async function realPathOf(path: string): Promise<string | undefined> {
  // A zero byte is no path: it throws another error.
  return realpath(path).catch(() => undefined);
}

const INSTEAD: Readonly<Record<string, string>> = {
  'model.base': 'name a version that was trained here, NAME@v001',
  model: 'name a version that was trained here, NAME@v001',
  'tokenizer.path': 'train one at /tokenizers/train and give its id',
};

function tooMany(field: string, what: string): AppError {
  return new AppError('invalid_field', `${field}: ${what} is more than ${MOST_MATCHES} files`, { field });
}

function missing(field: string, path: string, setting: string): AppError {
  const instead = INSTEAD[field] ?? 'send the file to /v1/files and give its id';
  return new AppError(
    'not_found',
    `${field}: there is nothing at ${JSON.stringify(path.slice(0, 200))} in the folders that requests may read (${setting}), where a path begins; or ${instead}`,
    { field },
  );
}
