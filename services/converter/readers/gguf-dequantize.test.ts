import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { GGML_TYPES } from './gguf-dequantize.ts';

const Cases = z.array(z.object({ type: z.string(), raw: z.base64(), floats: z.base64() }));
const cases = Cases.parse(JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/dequantize.json'), 'utf8'))).map(
  ({ type, raw, floats }) => {
    const bytes = Buffer.from(floats, 'base64');
    const expected = Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
    const found = [...GGML_TYPES.values()].find((one) => one.name === type);
    if (!found) throw new Error(`no type ${type}`);
    return { name: type, type: found, raw: Buffer.from(raw, 'base64'), expected };
  },
);

test('the fixture holds every type that is read', () => {
  expect(cases.map(({ name }) => name).toSorted()).toEqual([...GGML_TYPES.values()].map(({ name }) => name).toSorted());
});

test.each(cases)('$name gives the floats of the gguf package, to the bit', ({ type, raw, expected }) => {
  const blocks = raw.length / type.blockBytes;
  const out = new Float32Array(expected.length + 7).fill(99);
  // F32 and BF16 are written through views, so not at the beginning of the array.
  const at = type.blockSize === 1 ? 7 : 0;
  type.dequantize(raw, blocks, out, at);
  expect(Buffer.from(out.slice(at, at + expected.length).buffer)).toEqual(Buffer.from(expected.slice().buffer));
  expect(out[at === 0 ? expected.length : 6]).toBe(99);
});

test.each(cases.filter(({ type }) => type.unpack))(
  '$name unpacks to q, scales and minimums that make the same floats',
  ({ type, raw, expected }) => {
    const weights = expected.length;
    const into = {
      q: new Uint8Array(weights),
      scales: new Float32Array(weights / 32),
      minimums: new Float32Array(weights / 32),
    };
    type.unpack?.(raw, raw.length / type.blockBytes, into, 0);
    const made = Float32Array.from(into.q, (q, i) => (into.scales[i >> 5] ?? 0) * q + (into.minimums[i >> 5] ?? 0));
    // ggml has -0 where d * 0 with a negative d; a scale and a minimum make +0.
    expect(made).toEqual(expected.map((value) => value + 0));
    expect(Math.max(...into.q)).toBe(15);
  },
);
