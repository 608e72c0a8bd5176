/** How long rows are, by the recipe, the model and the data. */
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { expect, it } from 'vitest';
import { rowLength } from './prepare-run.ts';

const recipe = (sequence_length: number | 'auto') =>
  Recipe.parse({ name: 'm', model: { base: './x' }, data: { train: 'x' }, training: { sequence_length } });

it('is what is asked for of a text, and at most 1024 otherwise', () => {
  expect(rowLength(recipe(48), 4096, null)).toBe(48);
  expect(rowLength(recipe('auto'), 4096, null)).toBe(1024);
  expect(rowLength(recipe('auto'), 512, null)).toBe(512);
});

it('is that of the longest example, and no limit to it', () => {
  expect(rowLength(recipe('auto'), 4096, 192)).toBe(192);
  expect(rowLength(recipe(256), 4096, 192)).toBe(256);
  expect(() => rowLength(recipe(64), 4096, 192)).toThrow('data.max_length');
});
