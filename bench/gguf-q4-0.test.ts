import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { rewriteAsQ4_0 } from './gguf-q4-0.ts';

const F32 = 0;
const Q4_1 = 3;

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
const text = (value: string) => Buffer.concat([u64(value.length), Buffer.from(value)]);

/** One matrix of one Q4_1 block (weights 0, 1/2, 1 ... in steps of 1/2, minimum -4) and one vector. */
function tinyGguf(): Buffer {
  const metadata = [text('a.list'), u32(9), u32(8), u64(2), text('x'), text('yz'), text('b'), u32(4), u32(7)];
  const infos = [
    Buffer.concat([text('w.weight'), u32(2), u64(32), u64(1), u32(Q4_1), u64(0)]),
    Buffer.concat([text('norm.weight'), u32(1), u64(2), u32(F32), u64(32)]),
  ];
  const header = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(2), u64(2), ...metadata, ...infos]);
  const block = Buffer.alloc(32);
  const view = new DataView(block.buffer, block.byteOffset);
  view.setFloat16(0, 0.5, true);
  view.setFloat16(2, -4, true);
  for (let index = 0; index < 16; index++) block[4 + index] = index | (index << 4);
  const vector = Buffer.alloc(8);
  vector.writeFloatLE(1.5);
  vector.writeFloatLE(-2, 4);
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), block, vector]);
}

it('keeps the metadata and the vectors, and writes matrices as ggml would', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-gguf-'));
  const source = tinyGguf();
  await writeFile(join(folder, 'in.gguf'), source);
  rewriteAsQ4_0(join(folder, 'in.gguf'), join(folder, 'out.gguf'));
  const out = await readFile(join(folder, 'out.gguf'));

  const metadataEnd = source.indexOf('w.weight') - 8;
  expect(out.subarray(0, metadataEnd)).toEqual(source.subarray(0, metadataEnd));
  const type = out.indexOf('w.weight') + 'w.weight'.length + 4 + 16;
  expect(out.readUInt32LE(type)).toBe(2);

  const data = out.subarray(out.length - 64);
  // The largest magnitude is -4, so that the scale is -4 / -8 and every weight is on the grid: q = w / 0.5 + 8.
  expect(new DataView(data.buffer, data.byteOffset).getFloat16(0, true)).toBe(0.5);
  expect([...data.subarray(2, 18)]).toEqual(Array.from({ length: 16 }, (_, index) => index | (index << 4)));
  expect(data.readFloatLE(32)).toBe(1.5);
  expect(data.readFloatLE(36)).toBe(-2);
});

it('refuses what is no GGUF file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-gguf-'));
  await writeFile(join(folder, 'in.gguf'), 'not one of those at all');
  expect(() => rewriteAsQ4_0(join(folder, 'in.gguf'), join(folder, 'out.gguf'))).toThrow('GGUF');
});
