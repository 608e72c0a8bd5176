import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SourceFile } from '../source-file.ts';
import { scratchFolder } from '../testing/scratch.ts';
import { DTYPES } from './element-types.ts';
import { storedTensor } from './stored-tensor.ts';

const F32 = DTYPES.get('torch.float32');
const BF16 = DTYPES.get('torch.bfloat16');

async function storage(bytes: Uint8Array) {
  const file = await SourceFile.open(join(await scratchFolder({ storage: bytes }), 'storage'));
  onTestFinished(() => file.close());
  return file;
}

/** What each element is by the definition of strides. */
function byDefinition(shape: readonly number[], strides: readonly number[], offset: number): number[] {
  return shape.reduce(
    (starts, length, axis) =>
      starts.flatMap((start) => Array.from({ length }, (_, i) => start + i * (strides[axis] ?? 0))),
    [offset],
  );
}

function random(seed: number) {
  let state = seed;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('any shape and strides come out row-major, read in pieces of any size', async () => {
  if (!F32) throw new Error('no type');
  const count = 600;
  const file = await storage(new Uint8Array(Float32Array.from({ length: count + 3 }, (_, i) => i - 3).buffer));
  const next = random(7);
  let views = 0;
  for (let round = 0; round < 400; round++) {
    const shape = Array.from({ length: next(5) }, () => next(6));
    // Contiguous in some order of the axes, then stretched or made to overlap.
    const order = shape.map((_, axis) => axis).toSorted(() => next(3) - 1);
    const strides = shape.map(() => 1);
    let stride = 1;
    for (const axis of order) {
      strides[axis] = Math.max(0, stride + (next(3) === 0 ? next(4) - 1 : 0));
      stride *= Math.max(1, shape[axis] ?? 1);
    }
    const offset = next(20);
    const expected = byDefinition(shape, strides, offset);
    if (expected.some((at) => at >= count)) continue;
    const spec = { storageKey: '0', storageBytes: count * 4, type: F32, offset, shape, strides };
    // The storage begins at the fourth number.
    const read = await storedTensor(file, 'w', spec, 12, 4 * (1 + next(40))).read();
    expect([...read], `[${shape}] by [${strides}] from ${offset}`).toEqual(expected);
    views++;
  }
  expect(views).toBeGreaterThan(200);
});

test('a transposed matrix longer than one piece', async () => {
  if (!BF16) throw new Error('no type');
  const [rows, columns] = [1_500, 1_600];
  // bfloat16: the upper half of a float32, here whole numbers below 256.
  const bits = new Uint32Array(Float32Array.from({ length: rows * columns }, (_, i) => i % 251).buffer);
  const file = await storage(new Uint8Array(Uint16Array.from(bits, (value) => value >>> 16).buffer));
  const spec = {
    storageKey: '0',
    storageBytes: rows * columns * 2,
    type: BF16,
    offset: 0,
    shape: [columns, rows],
    strides: [1, columns],
  };
  const read = await storedTensor(file, 'w', spec, 0).read();
  const wrong = read.findIndex((value, i) => value !== ((i % rows) * columns + Math.floor(i / rows)) % 251);
  expect(wrong).toBe(-1);
});
