import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { readSafetensors } from './safetensors.ts';
import { SourceFile } from './source-file.ts';
import { f32 } from './testing/gguf-bytes.ts';
import { safetensorsBytes, withHeader } from './testing/safetensors-bytes.ts';
import { scratchFolder } from './testing/scratch.ts';

const MALFORMED = join(import.meta.dirname, '../../../../shared/data/malformed');

async function read(bytes: Uint8Array) {
  const folder = await scratchFolder({ 'model.safetensors': bytes });
  const file = await SourceFile.open(join(folder, 'model.safetensors'));
  onTestFinished(() => file.close());
  return readSafetensors(file);
}

test('reads every type weights come in, and says which others are there', async () => {
  const f64 = Buffer.alloc(16);
  f64.writeDoubleLE(1.5, 0);
  f64.writeDoubleLE(-2, 8);
  const tensors = await read(
    safetensorsBytes({
      single: { dtype: 'F32', shape: [2, 1], data: f32(1.5, -2) },
      half: { dtype: 'F16', shape: [2], data: Buffer.of(0x00, 0x3e, 0x00, 0xc0) },
      brain: { dtype: 'BF16', shape: [2], data: Buffer.of(0xc0, 0x3f, 0x00, 0xc0) },
      double: { dtype: 'F64', shape: [2], data: f64 },
      scalar: { dtype: 'F32', shape: [], data: f32(7) },
      empty: { dtype: 'F32', shape: [2, 0], data: f32() },
      mask: { dtype: 'BOOL', shape: [2], data: Buffer.of(1, 0) },
    }),
  );
  for (const name of ['single', 'half', 'brain', 'double']) {
    expect([...((await tensors.get(name)?.read()) ?? [])], name).toEqual([1.5, -2]);
  }
  expect(tensors.get('single')).toMatchObject({ name: 'single', shape: [2, 1], dtype: 'F32' });
  expect([...((await tensors.get('scalar')?.read()) ?? [])]).toEqual([7]);
  expect(await tensors.get('empty')?.read()).toHaveLength(0);
  await expect(tensors.get('mask')?.read()).rejects.toMatchObject({
    code: 'unsupported_source',
    message: expect.stringContaining('BOOL'),
  });
});

test('reads a tensor that is longer than one read', async () => {
  const values = Float32Array.from({ length: (4 << 20) / 4 + 5 }, (_, i) => i);
  const tensors = await read(
    safetensorsBytes({ a: { dtype: 'F32', shape: [values.length], data: new Uint8Array(values.buffer) } }),
  );
  expect(await tensors.get('a')?.read()).toEqual(values);
});

const eight = Buffer.alloc(8);
const entry = (offsets: string, shape = '[2]', dtype = 'F32') =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

test.each<[string, Uint8Array, RegExp]>([
  ['an empty file', Buffer.alloc(0), /too few/],
  ['a header over the limit', withHeader('{}', eight, 100_000_001n), /limit/],
  ['a header of 2^64-1 bytes', withHeader('{}', eight, 2n ** 64n - 1n), /limit/],
  ['a header longer than the file', withHeader('{}', eight, 5000n), /truncated/],
  ['a header that is no UTF-8', withHeader(Buffer.of(0x7b, 0xff, 0x7d), Buffer.alloc(0)), /UTF-8/],
  ['a header that is no JSON', withHeader('{"a":', Buffer.alloc(0)), /JSON/],
  ['a header that is no object', withHeader('[]', Buffer.alloc(0)), /no object/],
  ['a name twice', withHeader(`{"a":${entry('[0,8]')},"\\u0061":${entry('[0,8]')}}`, eight), /twice/],
  ['a type twice', withHeader('{"a":{"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]}}', eight), /twice/],
  ['an unknown type', withHeader(`{"a":${entry('[0,8]', '[2]', 'F12')}}`, eight), /F12/],
  ['a shape that overflows', withHeader(`{"a":${entry('[0,8]', '[4294967296,4294967296]')}}`, eight), /impossible/],
  ['a negative length', withHeader(`{"a":${entry('[0,8]', '[-2]')}}`, eight), /header/],
  ['half an element', withHeader(`{"a":${entry('[0,8]', '[1.5]')}}`, eight), /header/],
  ['bytes that do not fit the shape', withHeader(`{"a":${entry('[0,8]', '[3]')}}`, eight), /8 bytes/],
  ['an end before its beginning', withHeader(`{"a":${entry('[8,0]')}}`, eight), /begins at 8|bytes/],
  ['a hole', withHeader(`{"a":${entry('[8,16]')}}`, Buffer.alloc(16)), /begins at 8/],
  ['an overlap', withHeader(`{"a":${entry('[0,8]')},"b":${entry('[4,12]')}}`, Buffer.alloc(12)), /begins at 4/],
  ['data after the tensors', withHeader(`{"a":${entry('[0,8]')}}`, Buffer.alloc(9)), /follows/],
  ['data that is missing', withHeader(`{"a":${entry('[0,8]')}}`, Buffer.alloc(7)), /truncated/],
  ['metadata that is no text', withHeader('{"__metadata__":{"a":1}}', Buffer.alloc(0)), /__metadata__/],
  [
    'more in an entry than belongs there',
    withHeader('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}', eight),
    /header/,
  ],
])('refuses %s', async (_, bytes, message) => {
  await expect(read(bytes)).rejects.toMatchObject({ code: 'invalid_source', message: expect.stringMatching(message) });
  await expect(read(bytes)).rejects.toMatchObject({ message: expect.stringContaining('model.safetensors') });
});

describe.skipIf(!existsSync(MALFORMED))(
  'the reference implementation’s own cases (needs ../shared/data/malformed)',
  () => {
    const Line = z.object({ file: z.string(), kind: z.string() });
    const lines = existsSync(MALFORMED)
      ? readFileSync(join(MALFORMED, 'MANIFEST.jsonl'), 'utf8').trim().split('\n')
      : [];
    const cases = lines
      .map((line) => Line.parse(JSON.parse(line)))
      .filter(({ file }) => file.startsWith('safetensors/'));

    test('the manifest lists every file', () => {
      expect(cases).toHaveLength(readdirSync(join(MALFORMED, 'safetensors')).length);
    });

    test.each(cases)('$file: $kind', async ({ file, kind }) => {
      const opened = read(readFileSync(join(MALFORMED, file)));
      if (kind === 'benign') await expect(opened).resolves.toBeInstanceOf(Map);
      else await expect(opened).rejects.toMatchObject({ code: 'invalid_source' });
    });
  },
);
