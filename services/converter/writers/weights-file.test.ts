import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../readers/testing/scratch.ts';
import { gaussian } from '../testing/numbers.ts';
import { WeightsFile } from './weights-file.ts';

describe('a weights file', () => {
  it('holds every tensor where it says, on a cache line, and knows its own hash', async () => {
    const target = path.join(await scratchFolder(), 'weights');
    const file = await WeightsFile.create(target);
    const data = [
      gaussian(7),
      Uint8Array.of(1, 2, 3),
      Int8Array.of(-1),
      new Uint16Array(32).fill(513),
      gaussian(100_000),
    ];
    const placed = [];
    for (const [index, values] of data.entries())
      placed.push(await file.add(`t${index}`, 'uint8', [values.length], values));
    const hash = await file.close();

    const bytes = await readFile(target);
    expect(file.bytes).toBe(bytes.length);
    expect(hash).toBe(createHash('sha256').update(bytes).digest('hex'));
    let end = 0;
    for (const [index, { name, offset, length }] of placed.entries()) {
      const values = data[index] ?? new Uint8Array();
      expect([name, offset % 64, length]).toEqual([`t${index}`, 0, values.byteLength]);
      expect(offset).toBeGreaterThanOrEqual(end);
      // What lies between two tensors is always the same, or the same model would not be the same bytes.
      expect(bytes.subarray(end, offset).every((byte) => byte === 0)).toBe(true);
      expect(bytes.subarray(offset, offset + length)).toEqual(Buffer.from(values.buffer));
      end = offset + length;
    }
  });

  it('writes a view of a larger array as that view', async () => {
    const target = path.join(await scratchFolder(), 'weights');
    const file = await WeightsFile.create(target);
    await file.add('t', 'uint8', [2], Uint8Array.of(9, 8, 7, 6).subarray(1, 3));
    await file.close();
    expect([...(await readFile(target))]).toEqual([8, 7]);
  });

  it('never takes the place of another file', async () => {
    const folder = await scratchFolder({ weights: 'mine' });
    await expect(WeightsFile.create(path.join(folder, 'weights'))).rejects.toMatchObject({ code: 'EEXIST' });
    expect(await readFile(path.join(folder, 'weights'), 'utf8')).toBe('mine');
  });

  it.skipIf(process.platform !== 'linux')(
    'tells a failed write at the next chance, and only then (needs /dev/full)',
    async () => {
      const { open } = await import('node:fs/promises');
      const original = await open('/dev/full', 'w');
      // `wx` refuses a device; the same class over a handle that can never write shows what a full disk does.
      const file = Reflect.construct(WeightsFile, [original]) as WeightsFile;
      await file.add('first', 'uint8', [1], Uint8Array.of(1));
      // Long enough for the write to fail while nobody waits for it: an unhandled rejection would fail this test run.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await expect(file.add('second', 'uint8', [1], Uint8Array.of(1))).rejects.toMatchObject({ code: 'ENOSPC' });
      await expect(file.close()).rejects.toMatchObject({ code: 'ENOSPC' });
    },
  );
});
