import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../testing/tiny-text.ts';
import { openDataFile } from './open-file.ts';
import { readParquet } from './parquet.ts';
import { NOT_UTF_8, type Reading } from './reading.ts';

async function readAll(name: string, content: string | Uint8Array): Promise<{ type: string; readings: Reading[] }> {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  const { type, readings } = await openDataFile(path, { name });
  const all: Reading[] = [];
  for await (const batch of readings) all.push(...batch);
  return { type, readings: all };
}

const at = (readings: readonly Reading[]) =>
  readings.map((reading) => [reading.line, reading.kind === 'record' ? reading.value : reading.kind]);

describe('what a file is, is told by its content', () => {
  test.each<[string, string, string]>([
    ['a.json', '[{"a": 1}]', 'json'],
    ['a.json', '{"a": 1}\n{"a": 2}\n', 'jsonl'],
    ['a.jsonl', '[\n {"a": 1}\n]', 'json'],
    ['a.json', '{\n  "a": 1\n}\n', 'json'],
    ['a', '{"a": 1}', 'jsonl'],
    ['a.csv', 'a,b\n1,2\n', 'csv'],
    ['a.txt', '[brackets] are text', 'text'],
    ['a.md', '# Title\n', 'text'],
    ['a.txt', '{curly} is text too', 'text'],
  ])('%s: %j', async (name, content, type) => {
    expect((await readAll(name, content)).type).toBe(type);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ['a.pkl', Uint8Array.of(0x80, 4, 0x95, 0), /Python pickle, which is never opened/],
    ['a.json', Buffer.from('\ufeff[{"a": 1}]', 'utf16le'), /UTF-16/],
    ['a.csv', Buffer.from('prompt,completion\nHi,Caf\u00e9\n', 'utf16le'), /UTF-16: convert it, perhaps with iconv/],
    ['a.txt', Uint8Array.of(65, 0, 66), /binary/],
    ['a.xlsx', 'PK\x03\x04...', /zip file, as \.xlsx .* save it as CSV/],
    ['a.parquet', 'not at all', /no Parquet file/],
    ['a.gz', gzipSync(Buffer.concat([Buffer.from('PAR1'), randomBytes(9)])), /inside of gzip/],
  ])('%s is refused', async (name, content, message) => {
    await expect(readAll(name, content)).rejects.toThrow(message);
  });
});

describe('JSON', () => {
  test('an array’s elements come with their lines', async () => {
    const { readings } = await readAll(
      'a.json',
      '\ufeff[\r\n  {"a": "]},\\"{"},\r\n\r\n  {"a": [1, {"b": []}]}, 3,\n null\n]\n',
    );
    expect(at(readings)).toEqual([
      [2, { a: ']},"{' }],
      [4, { a: [1, { b: [] }] }],
      [4, 3],
      [5, null],
    ]);
  });

  test('values one behind the other need no commas', async () => {
    const { readings } = await readAll('a.json', '{\n"a": 1}\n{\n"a": 2\n}');
    expect(at(readings)).toEqual([
      [1, { a: 1 }],
      [3, { a: 2 }],
    ]);
  });

  test('the same is read whatever way the bytes come', async () => {
    const text = JSON.stringify(
      Array.from({ length: 50 }, (_, n) => ({ n, text: '"\\ü😀{[,]}'.repeat(n % 7) })),
      null,
      1,
    );
    const { readJsonValues } = await import('./json-values.ts');
    for (const size of [1, 2, 3, 7, 64, 1 << 20]) {
      const bytes = Buffer.from(text);
      const chunks = (async function* () {
        for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
      })();
      const values: unknown[] = [];
      for await (const batch of readJsonValues(chunks, 'a')) {
        for (const reading of batch) values.push(reading.kind === 'record' ? reading.value : reading);
      }
      expect(values, `${size}`).toEqual(JSON.parse(text));
    }
  });

  test('an element that is broken inside costs only itself', async () => {
    const { readings } = await readAll('a.json', '[{"a": 1},\n{"a": nope},\n{"a": 3}]');
    expect(at(readings)).toEqual([
      [1, { a: 1 }],
      [2, 'bad'],
      [3, { a: 3 }],
    ]);
  });

  test.each<[string, RegExp]>([
    ['[{"a": 1}\n{"a": 2}]', /line 2: .*a comma is missing/],
    ['[{"a": 1},,{"a": 2}]', /a value is missing before ,/],
    ['[{"a": 1}', /line 1: .*never closed/],
    ['[{"a": "1}]', /line 1: .*never closed/],
    ['[{"a": 1}] x', /something behind the end/],
  ])('%s is told', async (content, message) => {
    await expect(readAll('a.json', content)).rejects.toThrow(message);
  });

  test('JSON Lines: a broken line, bytes that are no UTF-8, CRLF, empty lines', async () => {
    const content = Buffer.concat([
      Buffer.from('{"a": 1}\r\n\r\n{"a":\n{"a": "'),
      Buffer.of(0xff),
      Buffer.from('"}\n{"a": 5}'),
    ]);
    const { readings } = await readAll('a.jsonl', content);
    expect(at(readings)).toEqual([
      [1, { a: 1 }],
      [3, 'bad'],
      [4, 'bad'],
      [5, { a: 5 }],
    ]);
    expect(readings[2]).toMatchObject({ reason: NOT_UTF_8 });
  });

  test('nesting without end is skipped', async () => {
    const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
    const { readings } = await readAll('a.jsonl', `{"a": ${deep}}\n{"a": 1}\n`);
    expect(at(readings)).toEqual([
      [1, 'bad'],
      [2, { a: 1 }],
    ]);
    expect((await readAll('a.json', `[{"a": ${deep}}, {"a": 1}]`)).readings[0]).toMatchObject({ kind: 'bad' });
  });
});

describe('CSV', () => {
  test('quotes, separators, a byte-order mark, rows that do not fit', async () => {
    const { readings } = await readAll('a.csv', '\ufeffprompt;completion\r\n"a;""b""\r\nc";d\r\nonly one\r\ne;f\r\n');
    expect(at(readings)).toEqual([
      [3, { prompt: 'a;"b"\r\nc', completion: 'd' }],
      [4, 'bad'],
      [5, { prompt: 'e', completion: 'f' }],
    ]);
  });

  test.each(['\n', '\r\n'])('a row is where it ends, whatever ends a line: %j', async (end) => {
    const rows = ['a,b', '1,2', '3,"4', '', '5"', 'x', '"6', '","7', '8",9', '10,11', '12,"13'];
    const reading = readAll('a.csv', rows.slice(0, -1).join(end));
    expect((await reading).readings.map(({ line }) => line)).toEqual([2, 5, 6, 9, 10]);
    await expect(readAll('a.csv', rows.join(end))).rejects.toThrow(/line 11: .*a quote is never closed/);
  });

  test('a row that is no UTF-8 is told, not filled with other characters', async () => {
    const latin = Buffer.from('prompt,completion\nCaf\u00e9,yes\n', 'latin1');
    const { readings } = await readAll('a.csv', Buffer.concat([latin, Buffer.from('Caf\u00e9,\u{1f600}\n')]));
    expect(at(readings)).toEqual([
      [2, 'bad'],
      [3, { prompt: 'Caf\u00e9', completion: '\u{1f600}' }],
    ]);
    expect(readings[0]).toMatchObject({ reason: NOT_UTF_8 });
    const named = await readAll('b.csv', '\ufeff\u95ee;\u7b54\na;b\n');
    expect(at(named.readings)).toEqual([[2, { \u95ee: 'a', \u7b54: 'b' }]]);
  });

  test('a quote that is never closed is told', async () => {
    await expect(readAll('a.csv', 'a,b\n1,"2\n3,4\n')).rejects.toThrow(/a quote is never closed/);
    await expect(readAll('a.csv', `a,b\n1,"${'2\n'.repeat(9 << 20)}`)).rejects.toThrow(/longer than 16 MiB/);
  });
});

describe('Parquet', () => {
  const sound = () =>
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: 'prompt', data: ['a', 'b', 'ü'.repeat(100)], type: 'STRING' },
          { name: 'n', data: [1n, 2n, 3n], type: 'INT64' },
        ],
      }),
    );

  test('rows become records', async () => {
    const { type, readings } = await readAll('a.parquet', sound());
    expect(type).toBe('parquet');
    expect(at(readings)).toEqual([
      [1, { prompt: 'a', n: 1 }],
      [2, { prompt: 'b', n: 2 }],
      [3, { prompt: 'ü'.repeat(100), n: 3 }],
    ]);
  });

  test('any byte may be wrong: it is read or refused, and a reader that loops is ended', async () => {
    const bytes = sound();
    const path = join(temporaryFolder(), 'a.parquet');
    const outcomes = new Set<string>();
    // Byte 12 is of the first page's header: with a zero there hyparquet never comes back.
    for (const at of [4, 12, 40, bytes.length - 120, bytes.length - 60, bytes.length - 20, bytes.length - 7]) {
      writeFileSync(
        path,
        Uint8Array.from(bytes, (byte, index) => (index === at ? 0 : byte)),
      );
      try {
        for await (const batch of readParquet(path, 'a.parquet', 5000)) expect(batch.length).toBeLessThanOrEqual(3);
        outcomes.add('read');
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_source' });
        outcomes.add(String(error).includes('does not end') ? 'ended' : 'refused');
      }
    }
    expect(outcomes).toContain('refused');
    expect(outcomes).toContain('ended');
  });
});

describe('plain text', () => {
  const textOf = (readings: readonly Reading[]) =>
    readings.map((reading) => (reading.kind === 'passage' ? reading.text : '')).join('');

  test('comes whole, in passages that end with lines, and say which is the last', async () => {
    const content = Array.from({ length: 3000 }, (_, n) => `Zeile ${n} ü\n${n % 10 === 0 ? '\n' : ''}`).join('');
    const { readings } = await readAll('a.txt', content);
    expect(textOf(readings)).toBe(content);
    expect(readings.length).toBeGreaterThan(3);
    for (const [index, reading] of readings.entries()) {
      const isLast = index === readings.length - 1;
      expect(reading).toMatchObject({ begins: index === 0, ends: isLast });
      if (reading.kind === 'passage') {
        expect(reading.text.endsWith('\n')).toBe(true);
        expect(content.split('\n')[reading.line - 1]).toBe(reading.text.split('\n')[0]);
      }
    }
  });

  test('CRLF, a byte-order mark, lines that are no UTF-8', async () => {
    const content = Buffer.concat([
      Buffer.from('\ufeffone\r\ntwo\r\n'),
      Buffer.of(0xc3, 0x28, 10),
      Buffer.from('four'),
    ]);
    const { readings } = await readAll('a.txt', content);
    expect(textOf(readings)).toBe('one\ntwo\nfour');
    expect(readings[0]).toEqual({ kind: 'bad', line: 3, reason: NOT_UTF_8 });
  });

  test('a line of megabytes is cut, and no character with it', async () => {
    const content = '😀ü'.repeat(800_000);
    const { readings } = await readAll('a.txt', content);
    expect(textOf(readings) === content).toBe(true);
    expect(readings.length).toBeGreaterThan(10);
  });
});

describe('gzip', () => {
  test('is unpacked on the way', async () => {
    const { type, readings } = await readAll('a.jsonl.gz', gzipSync('{"a": 1}\n{"a": 2}\n'));
    expect(type).toBe('jsonl');
    expect(readings).toHaveLength(2);
  });

  test('cut off, or made to fill a disk, it is refused', async () => {
    await expect(readAll('a.txt.gz', gzipSync(randomBytes(5000).toString('hex')).subarray(0, 3000))).rejects.toThrow(
      /cannot be unpacked/,
    );
    await expect(readAll('a.txt.gz', gzipSync(Buffer.alloc(100 << 20, 'a')))).rejects.toThrow(
      /more than 200 times its size/,
    );
  });
});
