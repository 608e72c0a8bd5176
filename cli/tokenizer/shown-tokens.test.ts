import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { shownTokens } from './shown-tokens.ts';

const bytesOf = (...texts: string[]) => texts.map((text) => new TextEncoder().encode(text));

test('without colours bars stand between tokens, and breaks are visible', () => {
  expect(shownTokens(bytesOf('The', ' cat', '\n\n', 'sat\t', '\x1b[2J'), false)).toBe('The| cat|⏎\n⏎\n|sat→|<1B>[2J');
});

test('a part of a character is shown as its bytes', () => {
  const [whole = new Uint8Array()] = bytesOf('é!');
  expect(shownTokens([whole.subarray(0, 1), whole.subarray(1)], false)).toBe('<C3>|<A9>!');
});

test('neighbours have different colours, which end with their line', () => {
  const shown = shownTokens(bytesOf('a', 'b', '\nc'), true);
  const colours = shown.split('\x1b[').flatMap((part) => /^10\dm/.exec(part)?.[0] ?? []);
  expect(new Set(colours.slice(0, 3)).size).toBe(3);
  expect(stripVTControlCharacters(shown)).toBe('ab⏎\nc');
  for (const line of shown.split('\n')) expect(line.endsWith('\x1b[39m')).toBe(true);
});
