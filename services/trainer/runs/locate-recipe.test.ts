import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { expect, it, onTestFinished } from 'vitest';
import { locateRecipe, withoutPlaces } from './locate-recipe.ts';

const RECIPE = `
name: tuned
model: { base: ../downloads/org/model }
data: { train: [data/a.txt, https://example.com/b.txt, /c/*.txt], validation: held-out.txt }
`;

function places() {
  const root = mkdtempSync(join(tmpdir(), 'slipway-locate-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const folder of ['recipes/data', 'working']) mkdirSync(join(root, folder), { recursive: true });
  for (const file of [
    'recipes/data/a.txt',
    'recipes/held-out.txt',
    'working/x.txt',
    'working/x.jsonl',
    'working/y.jsonl',
  ])
    writeFileSync(join(root, file), '');
  return { root, recipes: join(root, 'recipes'), working: join(root, 'working') };
}

function located(changes: readonly string[], { recipes, working }: ReturnType<typeof places>) {
  return locateRecipe(parseRecipe({ text: RECIPE, label: 'tuned.yaml', changes }), recipes, working);
}

it('sees the paths of the file from its folder, those of --set from where one is', async () => {
  const at = places();
  mkdirSync(join(at.root, 'downloads/org/model'), { recursive: true });
  mkdirSync(join(at.working, 'mine'), { recursive: true });
  const { model, data } = await located([], at);
  expect(model.base).toBe(join(at.root, 'downloads/org/model'));
  expect(data.train).toEqual([join(at.recipes, 'data/a.txt'), 'https://example.com/b.txt', '/c/*.txt']);
  expect(data.validation).toEqual([join(at.recipes, 'held-out.txt')]);
  const changed = await located(['model.base=mine', 'data.train=x.txt'], at);
  expect(changed.model.base).toBe(join(at.working, 'mine'));
  expect(changed.data.train).toEqual([join(at.working, 'x.txt')]);
  const weighted = await located(['model.base=mine', 'data.train={x.jsonl: 2, y.jsonl: 1}'], at);
  expect(weighted.data.train).toEqual({ [join(at.working, 'x.jsonl')]: 2, [join(at.working, 'y.jsonl')]: 1 });
  expect(withoutPlaces(weighted).data.train).toEqual({ 'x.jsonl': 2, 'y.jsonl': 1 });
});

it('keeps of every path what the file is called, and addresses as they are', async () => {
  const at = places();
  mkdirSync(join(at.root, 'downloads/org/model'), { recursive: true });
  const { model, data } = withoutPlaces(await located([], at));
  expect(model.base).toBe('model');
  expect(data.train).toEqual(['a.txt', 'https://example.com/b.txt', '*.txt']);
  expect(data.validation).toEqual(['held-out.txt']);
});

it('says what data is not there', async () => {
  const at = places();
  mkdirSync(join(at.root, 'downloads/org/model'), { recursive: true });
  for (const field of ['data.train', 'data.validation']) {
    await expect(located([`${field}=[x.txt, typo.txt]`], at)).rejects.toMatchObject({
      code: 'not_found',
      message: `${field}: there is nothing at ${join(at.working, 'typo.txt')}`,
    });
  }
});

it('says how to get a base that is not there', async () => {
  await expect(located([], places())).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('./slipway models pull org/model --no-convert, or name one'),
  });
  await expect(located(['model.base=typo'], places())).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringMatching(/--set model\.base=FOLDER; a version that was trained here is typo@v001$/),
  });
});
