/** docs/recipes.md is made of the schema: `npx vitest run tests/docs -u` writes it anew. And every recipe that is shipped fits it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseRecipe } from '@slipway/shared/contracts/parse-recipe.ts';
import { recipeFields } from '@slipway/shared/contracts/recipe-fields.ts';
import { expect, it } from 'vitest';
import { markdownTable } from './testing/markdown-table.ts';

const RECIPES = join(import.meta.dirname, '../../recipes');

const INTRODUCTION = `# Recipes

A recipe is a YAML file that says what is trained on what, and how. \`./slipway train RECIPE.yaml --check\` tells whether it is sound and runs
nothing; \`--set training.max_steps=50\` changes a field for one run. Paths are seen from the recipe's folder, those of \`--set\` from where you
are. The recipes in [recipes/](../recipes) are a place to begin. A field without a default must be given, where its section is there.

This page is made of \`shared/contracts/recipe.ts\`; a test keeps it so.
`;

function page(): string {
  const rows = recipeFields().map(({ path, allowed, fallback, meaning }) => {
    const cells = [`\`${path}\``, allowed, fallback === '' ? '' : `\`${fallback}\``, meaning];
    return cells.map((cell) => cell.replaceAll('|', '\\|'));
  });
  return `${INTRODUCTION}\n${markdownTable(['field', 'what it may be', 'default', ''], rows)}\n`;
}

it('lists every field with what it may be, its default and its meaning', async () => {
  expect(recipeFields().filter(({ meaning }) => meaning === '')).toEqual([]);
  await expect(page()).toMatchFileSnapshot('../../docs/recipes.md');
});

it.each(readdirSync(RECIPES).filter((name) => name.endsWith('.yaml')))('%s is a sound recipe', (name) => {
  const { recipe } = parseRecipe({ text: readFileSync(join(RECIPES, name), 'utf8'), label: name });
  expect(recipe.description).not.toBeNull();
});
