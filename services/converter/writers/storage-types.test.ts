import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { GGML_TYPES } from '../readers/gguf-dequantize.ts';
import { gaussian } from '../testing/numbers.ts';
import { STORAGE_TYPES, type StorageType, storedBytes } from './storage-types.ts';

const TYPES: readonly StorageType[] = Object.values(STORAGE_TYPES);
const fixture = z
  .record(z.string(), z.base64())
  .parse(JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/stored-types.json'), 'utf8')));
const bytesOf = (name: string) => Buffer.from(fixture[name] ?? '', 'base64');
const values = new Float32Array(new Uint8Array(bytesOf('values')).buffer);

function encode(type: StorageType, floats: Float32Array): { bytes: Uint8Array; fits: boolean } {
  const bytes = new Uint8Array(storedBytes(type, floats.length));
  return { fits: type.encode(floats, bytes), bytes };
}

function decode(type: StorageType, bytes: Uint8Array): Float32Array {
  const reader = [...GGML_TYPES.values()].find(({ name }) => name === type.name);
  if (!reader) throw new Error(`${type.name} is not read`);
  const out = new Float32Array((bytes.length / type.blockBytes) * type.blockSize);
  reader.dequantize(bytes, bytes.length / type.blockBytes, out, 0);
  return out;
}

test.each(TYPES)('$name has the bytes that the gguf package and torch write', (type) => {
  const { bytes, fits } = encode(type, values);
  expect(fits).toBe(true);
  const expected = bytesOf(type.name);
  for (let block = 0; block * type.blockBytes < expected.length; block++) {
    const at = [block * type.blockBytes, (block + 1) * type.blockBytes] as const;
    expect(bytes.subarray(...at), `block ${block}`).toEqual(new Uint8Array(expected.subarray(...at)));
  }
});

describe('read back, a value is as near as its type allows', () => {
  const floats = Float32Array.from([
    ...gaussian(32 * 40, 5),
    ...gaussian(32 * 40, 6).map((value) => value ** 3),
    ...gaussian(32 * 20, 7).map((value) => value * 1e-4),
  ]);
  const largestIn = (block: number) =>
    floats.subarray(block * 32, block * 32 + 32).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // A half holds 11 bits of a scale, and its error counts once per step.
  const scaleError = (block: number) => (largestIn(block) * 1.01) / 2048 + 2 ** -24 * 127;

  test.each<[StorageType, (value: number, block: number) => number]>([
    [STORAGE_TYPES.F32, () => 0],
    [STORAGE_TYPES.F16, (value) => Math.abs(value) / 2048 + 2 ** -25],
    [STORAGE_TYPES.BF16, (value) => Math.abs(value) / 256],
    [STORAGE_TYPES.Q8_0, (_, block) => largestIn(block) / 254 + scaleError(block)],
    // 16 steps, of which the largest on the other side of zero is one short: up to a whole step there.
    [
      STORAGE_TYPES.Q4_0,
      (value, block) =>
        largestIn(block) / (Math.abs(value) > (largestIn(block) * 7.5) / 8 ? 8 : 16) + scaleError(block),
    ],
  ])('$name', (type, allowed) => {
    const read = decode(type, encode(type, floats).bytes);
    for (const [i, value] of floats.entries()) {
      expect(Math.abs((read[i] ?? Number.NaN) - value)).toBeLessThanOrEqual(allowed(value, i >> 5));
    }
  });
});

test.each(TYPES)('what was $name once stays as it is', (type) => {
  const once = decode(type, encode(type, values).bytes);
  const twice = decode(type, encode(type, once).bytes);
  expect(twice.every((value, i) => value === once[i])).toBe(true);
});

test.each([
  [STORAGE_TYPES.F16, 70_000],
  [STORAGE_TYPES.BF16, 3.4e38],
  [STORAGE_TYPES.Q8_0, 1e7],
  [STORAGE_TYPES.Q4_0, 1e6],
])('$name says when a value is too large for it', (type, value) => {
  expect(encode(type, new Float32Array(32).fill(1)).fits).toBe(true);
  expect(encode(type, new Float32Array(32).fill(1).with(9, -value)).fits).toBe(false);
});
