import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readLines } from './read-lines.ts';

const folder = mkdtempSync(join(tmpdir(), 'slipway-lines-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function linesOf(bytes: string | Uint8Array, options: { mostBytes?: number; from?: number } = {}) {
  const file = join(folder, 'input');
  writeFileSync(file, bytes);
  const lines: unknown[] = [];
  for await (const { index, number, content } of readLines(file, { mostBytes: 1000, ...options })) {
    lines.push([index, number, 'text' in content ? content.text : content]);
  }
  return lines;
}

describe('lines of a file', () => {
  it('are what an editor shows, without mark, carriage returns and blank lines', async () => {
    expect(await linesOf('\ufeffa\r\n\r\n \t\nb\n\nc')).toEqual([
      [0, 1, 'a'],
      [1, 4, 'b'],
      [2, 6, 'c'],
    ]);
    expect(await linesOf('a\n')).toEqual([[0, 1, 'a']]);
    for (const nothing of ['', '\ufeff', '\n\r\n']) expect(await linesOf(nothing)).toEqual([]);
  });

  it('say why they cannot be read', async () => {
    expect(
      await linesOf(Buffer.concat([Buffer.from('a\n'), Buffer.from([0xff, 0xfe, 0x0a]), Buffer.from('b')])),
    ).toEqual([
      [0, 1, 'a'],
      [1, 2, { problem: 'is not valid UTF-8' }],
      [2, 3, 'b'],
    ]);
    expect(await linesOf(`${'x'.repeat(200_000)}\n${'y'.repeat(1000)}\n`)).toEqual([
      [0, 1, { problem: 'is longer than 1000 bytes' }],
      [1, 2, 'y'.repeat(1000)],
    ]);
  });

  it('are whole wherever the pieces end in which the file is read', async () => {
    const texts = Array.from({ length: 5000 }, (_, index) => `${'é'.repeat(index % 97)}${index}`);
    expect((await linesOf(texts.join('\n'), { from: 4990 })).map((line) => Object(line)[2])).toEqual(texts.slice(4990));
  });
});
