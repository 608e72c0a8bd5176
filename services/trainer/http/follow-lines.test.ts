/** Lines of a file that grows: whole ones only, each once, with where the next one begins. */
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { followLines, type Line, lastLines, readLines } from './follow-lines.ts';

function newFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-lines-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return join(folder, 'log');
}

async function all(lines: AsyncGenerator<readonly Line[]>): Promise<Line[]> {
  const found: Line[] = [];
  for await (const some of lines) found.push(...some);
  return found;
}

it('gives lines as they become whole, of a file that is not there yet as well', async () => {
  const file = newFile();
  const writes = ['one\ntw', 'o\n', 'ä€😀\nthr'].map((text) => () => appendFileSync(file, text));
  const isOver = async () => writes.length === 0;
  const lines: string[] = [];
  const follow = { from: 0, isOver, signal: new AbortController().signal };
  for await (const some of followLines(file, follow)) {
    lines.push(...some.map(({ text }) => text));
    if (some.length === 0) writes.shift()?.();
  }
  expect(lines).toEqual(['one', 'two', 'ä€😀']);
});

it('goes on at any line, whatever the pieces it is read in', async () => {
  const file = newFile();
  const texts = Array.from({ length: 5000 }, (_, index) => `${index} ${'€'.repeat(index % 97)}`);
  writeFileSync(file, texts.map((text) => `${text}\n`).join(''));
  const lines = await all(readLines(file));
  expect(lines.map(({ text }) => text)).toEqual(texts);
  for (const index of [0, 1, 1234, 4998]) {
    const rest = await all(readLines(file, lines[index]?.end));
    expect(rest.map(({ text }) => text)).toEqual(texts.slice(index + 1));
  }
});

it('holds no line without end', async () => {
  const file = newFile();
  writeFileSync(file, `${'x'.repeat(5 * 2 ** 20)}\nlast\n`);
  const lines = await all(readLines(file));
  expect(lines.length).toBeGreaterThan(2);
  expect(
    lines
      .slice(0, -1)
      .map(({ text }) => text)
      .join(''),
  ).toBe('x'.repeat(5 * 2 ** 20));
  expect(lines.at(-1)?.text).toBe('last');
});

it('ends when its reader leaves', async () => {
  const leave = new AbortController();
  const following = followLines(newFile(), { from: 0, isOver: async () => false, signal: leave.signal });
  expect(await following.next()).toEqual({ value: [], done: false });
  leave.abort();
  expect((await following.next()).done).toBe(true);
});

it('gives the last lines, as many as are whole in so many bytes', async () => {
  const file = newFile();
  expect(await lastLines(file, 3, 100)).toEqual([]);
  writeFileSync(file, 'a\nbb\nccc\ndddd\nnot yet');
  expect(await lastLines(file, 3, 100)).toEqual(['bb', 'ccc', 'dddd']);
  expect(await lastLines(file, 9, 100)).toEqual(['a', 'bb', 'ccc', 'dddd']);
  expect(await lastLines(file, 9, 'cc\ndddd\nnot yet'.length)).toEqual(['dddd']);
});
