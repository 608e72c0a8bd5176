/** The bundled model is what the repository's recipe makes of the repository's data, and says so. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BUNDLED_BUCKET } from '@slipway/inference/serve';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { expect, it } from 'vitest';
import { locateRecipe, withoutPlaces } from '../services/trainer/runs/locate-recipe.ts';
import { slipway } from './converter/testing/slipway.ts';

const RECIPES = resolve(import.meta.dirname, '../recipes');
const bucket = openFolderBucket(BUNDLED_BUCKET);

it('is one version of one model, of at most 4 MB, that answers as it did in training', async () => {
  expect(await bucket.models()).toEqual(['shakespeare-gpt2']);
  expect(await bucket.versions('shakespeare-gpt2')).toEqual(['v001']);
  const { files, parity } = await bucket.resolve('shakespeare-gpt2');
  expect(files.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(4_000_000);
  expect(parity).toMatchObject({ within_bounds: true, trained: { greedy_tokens: expect.any(Number) } });
});

it('was trained by the recipe as it is now, on the data as they are now', async () => {
  const { lineage } = await bucket.resolve('shakespeare-gpt2');
  const path = join(RECIPES, 'shakespeare-gpt2.yaml');
  const parsed = parseRecipe({ text: readFileSync(path, 'utf8'), label: path });
  const recipe = withoutPlaces(await locateRecipe(parsed, RECIPES, RECIPES));
  expect(Recipe.parse(lineage?.config)).toEqual(recipe);
  const data = readFileSync(join(RECIPES, 'data/tinyshakespeare.txt'));
  const sha256 = createHash('sha256').update(data).digest('hex');
  expect(lineage?.data).toEqual([{ name: 'tinyshakespeare.txt', bytes: data.length, sha256 }]);
});

it('shows where it comes from', async () => {
  const { lineage } = await bucket.resolve('shakespeare-gpt2');
  const { stdout } = await slipway(['models', 'show', 'shakespeare-gpt2', '--bucket', BUNDLED_BUCKET]);
  expect(stdout).toMatch(new RegExp(`^ +run +${lineage?.run}$`, 'm'));
  expect(stdout).toMatch(/^ +git commit +[0-9a-f]{40}$/m);
  expect(stdout).toMatch(/^ +training +\d+ steps, [\d.]+ M tokens in .*; loss [\d.]+; held out [\d.]+$/m);
  expect(stdout).toMatch(/^ +libraries +.*torch [\d.]+/m);
  expect(stdout).toMatch(/\n\nTrained on\n +tinyshakespeare\.txt /);
});
