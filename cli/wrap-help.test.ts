import { expect, test } from 'vitest';
import { wrapHelp } from './wrap-help.ts';

test.each([
  ['a paragraph', 'one two three four five six', 'one two three four\nfive six'],
  ['what is said beside a name', '  --a  one two three four five six', '  --a  one two three four five\n       six'],
  ['no command', '  slipway train recipes/shakespeare-gpt2.yaml', '  slipway train recipes/shakespeare-gpt2.yaml'],
  ['no column that is too narrow', `  ${'a'.repeat(12)}  one two`, `  ${'a'.repeat(12)}  one two`],
  ['no word', 'a'.repeat(40), 'a'.repeat(40)],
])('%s is broken', (_, text, wrapped) => {
  expect(wrapHelp(text, text.startsWith('  --a') ? 30 : 20)).toBe(wrapped);
});

test('a paragraph that is written in several lines is one', () => {
  const long = 'word '.repeat(25).trim();
  expect(wrapHelp(`${long}\nmore\n\n  list`, 1000)).toBe(`${long} more\n\n  list`);
});
