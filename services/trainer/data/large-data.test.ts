/** Files that are much larger than the memory they may take. SLIPWAY_LARGE_DATA_MIB=1024 tries a gigabyte. */
import { execFile } from 'node:child_process';
import { closeSync, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from './testing/tiny-text.ts';

const MIB = 2 ** 20;
const SIZE = Number(process.env.SLIPWAY_LARGE_DATA_MIB ?? 50) * MIB;
/** Of a process that has loaded all this and read nothing. */
const BASE = 200 * MIB;
const TIMEOUT = 1_800_000;

/** What a process of its own reports after reading a file: its peak and what it found. */
function read(path: string): Promise<{ peak: number; examples: number; rejected: number; problem: string }> {
  const script = `
    import { inspectData } from ${JSON.stringify(new URL('./inspect-data.ts', import.meta.url).href)};
    const data = { format: 'auto', columns: {}, mixed: 'refuse', template: 'model', truncated: 0.05, max_length: 'auto' };
    const { examples, rejected, problems } = await inspectData({ sources: [process.argv[1]], data, cacheFolder: 'none', show: 0 });
    const peak = process.resourceUsage().maxRSS * 1024;
    console.log(JSON.stringify({ peak, examples, rejected: rejected.count, problem: problems.join() }));`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', script, path], (error, out) => {
      if (error) reject(error);
      else resolve(JSON.parse(out));
    });
  });
}

/** Writes `line(n)` until there are SIZE bytes; gives how many. */
function fill(path: string, line: (n: number) => string, before = '', after = ''): number {
  const file = openSync(path, 'w');
  writeSync(file, before);
  let count = 0;
  for (let written = 0; written < SIZE; ) {
    const part = Array.from({ length: 1000 }, (_, n) => line(count + n)).join('');
    count += 1000;
    written += writeSync(file, part);
  }
  writeSync(file, after);
  closeSync(file);
  return count;
}

const text = (n: number) => `${n} ${'Once upon a time there was a little girl who had a red ball. '.repeat(6)}`;

test.each<[string, (n: number) => string, string, string]>([
  ['a.jsonl', (n) => `${JSON.stringify({ instruction: `Do ${n}`, output: text(n) })}\n`, '', ''],
  ['a.json', (n) => `${n === 0 ? '' : ','}${JSON.stringify({ instruction: `Do ${n}`, output: text(n) })}\n`, '[', ']'],
  ['a.csv', (n) => `Do ${n},${text(n)}\n`, 'prompt,completion\n', ''],
])(
  '%s is read in bounded memory',
  async (name, line, before, after) => {
    const path = join(temporaryFolder(), name);
    const count = fill(path, line, before, after);
    const { peak, examples } = await read(path);
    expect(examples).toBe(count);
    // Digests and lengths take some 60 bytes of an example; nothing else may grow.
    expect(peak).toBeLessThan(BASE + 100 * MIB + count * 100);
  },
  TIMEOUT,
);

test(
  'a line that never ends is left out, not kept',
  async () => {
    const path = join(temporaryFolder(), 'a.jsonl');
    writeFileSync(path, `${JSON.stringify({ user: 'a', assistant: 'b' })}\n{"user": "`);
    const file = openSync(path, 'a');
    for (let n = 0; n < 200; n++) writeSync(file, 'x'.repeat(MIB));
    closeSync(file);
    expect(statSync(path).size).toBeGreaterThan(200 * MIB);
    const { peak, examples, rejected } = await read(path);
    expect({ examples, rejected }).toEqual({ examples: 1, rejected: 1 });
    expect(peak).toBeLessThan(BASE + 100 * MIB);
  },
  TIMEOUT,
);
