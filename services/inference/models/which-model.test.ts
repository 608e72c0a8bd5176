import { parseReference } from '@slipway/shared/bucket/keys.ts';
import { describe, expect, it } from 'vitest';
import { textOf, whichModel } from './which-model.ts';

const hosts = (...entries: [text: string, version?: string][]) =>
  entries.map(([text, version], index) => ({ reference: parseReference(text), version, isMain: index === 0 }));
const aliases = new Map([
  ['champion', 'v002'],
  ['latest', 'v003'],
]);
function choice(hosted: ReturnType<typeof hosts>, wanted: string, seen = aliases): string | undefined {
  const found = whichModel(hosted, parseReference(wanted), seen);
  return found && textOf(found.reference);
}

describe('whichModel', () => {
  it.each([
    ['one', 'one'],
    ['one@v002', 'one'],
    ['one@champion', 'one'],
    ['one@latest', undefined],
    ['one@v001', undefined],
    ['other', undefined],
  ])('of one that follows a name, %s is %s', (wanted, expected) => {
    expect(choice(hosts(['one', 'v002']), wanted)).toBe(expected);
  });

  it.each([
    ['one', 'one@v001'],
    ['one@v001', 'one@v001'],
    ['one@champion', undefined],
  ])('of a main version for good, %s is %s', (wanted, expected) => {
    expect(choice(hosts(['one@v001', 'v001']), wanted)).toBe(expected);
  });

  it('prefers what is hosted under just that name', () => {
    const hosted = hosts(['one@v001', 'v001'], ['one', 'v002'], ['one@latest', 'v003']);
    expect(choice(hosted, 'one')).toBe('one');
    expect(choice(hosted, 'one@latest')).toBe('one@latest');
    expect(choice(hosted, 'one@v003')).toBe('one@latest');
  });

  it('tells two versions of one name apart', () => {
    const hosted = hosts(['main', 'v001'], ['one@v001', 'v001'], ['one@v002', 'v002']);
    expect(choice(hosted, 'one@v001')).toBe('one@v001');
    expect(choice(hosted, 'one@v002')).toBe('one@v002');
  });

  it('does not take a version for good for a name that may have moved since', () => {
    const hosted = hosts(['main', 'v001'], ['one@v002', 'v002']);
    expect(choice(hosted, 'one')).toBeUndefined();
    expect(choice(hosted, 'one@champion')).toBeUndefined();
  });

  it('finds what another name leads to', () => {
    const hosted = hosts(['main', 'v001'], ['one@champion', 'v002']);
    expect(choice(hosted, 'one')).toBe('one@champion');
    const newest = new Map([['latest', 'v002']]);
    expect(choice(hosted, 'one', newest)).toBe('one@champion');
    expect(choice(hosted, 'one@latest')).toBeUndefined();
  });

  it('knows one that is being loaded by its own name only', () => {
    const hosted = hosts(['main', 'v001'], ['one']);
    expect(choice(hosted, 'one')).toBe('one');
    expect(choice(hosted, 'one@v002')).toBeUndefined();
    expect(choice(hosted, 'one', new Map())).toBe('one');
  });
});
