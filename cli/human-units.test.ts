import { describe, expect, it } from 'vitest';
import { humanAgo, humanBytes, humanCount, humanSeconds } from './human-units.ts';
import { textTable } from './text-table.ts';

describe('human units', () => {
  it.each([
    [0, '0 B'],
    [1000, '1000 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [538_090_408, '513.2 MiB'],
    [3 * 2 ** 40, '3.0 TiB'],
  ])('%d bytes are %s', (bytes, text) => expect(humanBytes(bytes)).toBe(text));

  it.each([
    [512, '512'],
    [260_032, '260 K'],
    [999_999, '1.00 M'],
    [134_515_008, '135 M'],
    [1_543_714_304, '1.54 B'],
  ])('%d parameters are %s', (count, text) => expect(humanCount(count)).toBe(text));

  it.each([
    [0.4, '0 s'],
    [59.6, '1 min 00 s'],
    [3700, '1 h 01 min'],
    [Number.POSITIVE_INFINITY, '?'],
  ])('%d seconds are %s', (seconds, text) => expect(humanSeconds(seconds)).toBe(text));

  it.each([
    [-10, 'just now'],
    [5, '5 seconds ago'],
    [61, '1 minute ago'],
    [7200, '2 hours ago'],
    [3 * 86_400, '3 days ago'],
    [800 * 86_400, '2 years ago'],
  ])('%d seconds before now is %s', (seconds, text) => {
    const now = new Date('2026-01-01T00:00:00Z');
    expect(humanAgo(new Date(now.getTime() - seconds * 1000), now)).toBe(text);
  });
});

describe('textTable', () => {
  it('aligns columns, numbers to the right, and leaves no spaces at the ends', () => {
    expect(
      textTable(
        ['NAME', '>SIZE', 'WHY'],
        [
          ['a', '1 B', ''],
          ['long name', '100.0 MiB', 'x'],
        ],
      ),
    ).toBe(['NAME            SIZE  WHY', 'a                1 B', 'long name  100.0 MiB  x'].join('\n'));
  });
});
