import { expect, test } from 'vitest';
import { fitTerminal, textTable } from './text-table.ts';

test('a row that says much stays one line in a terminal, and whole in a file', () => {
  const table = textTable(
    ['run', ''],
    [
      ['run-1', 'a long message'],
      ['run-2', 'short'],
    ],
  );
  expect(fitTerminal(table, { isTTY: true, columns: 13 }).split('\n')).toEqual([
    'run',
    'run-1  a lon…',
    'run-2  short',
  ]);
  expect(fitTerminal(table, { isTTY: false, columns: 13 })).toBe(table);
});
