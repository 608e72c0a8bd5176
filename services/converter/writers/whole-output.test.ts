import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../readers/testing/scratch.ts';
import { writeWhole } from './whole-output.ts';

const makeFolder = async (passing: string) => {
  await mkdir(passing);
  await writeFile(path.join(passing, 'a'), 'new');
};

test('a file appears under its name only when it is whole', async () => {
  const folder = await scratchFolder();
  const target = path.join(folder, 'model.gguf');
  const told = await writeWhole(target, async (passing) => {
    await writeFile(passing, 'half');
    expect(await readdir(folder)).not.toContain('model.gguf');
    await writeFile(passing, 'whole');
    return 7;
  });
  expect(told).toBe(7);
  expect(await readdir(folder)).toEqual(['model.gguf']);
  expect(await readFile(target, 'utf8')).toBe('whole');
});

test('so does a folder', async () => {
  const folder = await scratchFolder();
  await writeWhole(path.join(folder, 'model'), makeFolder);
  expect(await readdir(folder)).toEqual(['model']);
  expect(await readdir(path.join(folder, 'model'))).toEqual(['a']);
});

test('what fails leaves nothing', async () => {
  const folder = await scratchFolder();
  const failing = writeWhole(path.join(folder, 'model'), async (passing) => {
    await makeFolder(passing);
    throw new Error('no more');
  });
  await expect(failing).rejects.toThrow('no more');
  expect(await readdir(folder)).toEqual([]);
});

describe('what stands there is left as it is', () => {
  test.each([
    ['a file', (target: string) => writeFile(target, 'old')],
    [
      'a folder',
      async (target: string) => {
        await mkdir(target);
        await writeFile(path.join(target, 'old'), '');
      },
    ],
  ])('%s, seen at once', async (_, put) => {
    const folder = await scratchFolder();
    const target = path.join(folder, 'model');
    await put(target);
    await expect(writeWhole(target, () => Promise.reject(new Error('too late')))).rejects.toMatchObject({
      code: 'already_exists',
    });
    expect(await readdir(folder)).toEqual(['model']);
  });

  test.each([
    ['a file', (passing: string) => writeFile(passing, 'new')],
    ['a folder', makeFolder],
  ])('%s, when it came there meanwhile', async (_, make) => {
    const folder = await scratchFolder();
    const target = path.join(folder, 'model');
    const late = writeWhole(target, async (passing) => {
      await make(passing);
      await writeFile(target, 'of another');
    });
    await expect(late).rejects.toMatchObject({ code: 'already_exists' });
    expect(await readdir(folder)).toEqual(['model']);
    expect(await readFile(target, 'utf8')).toBe('of another');
  });
});

test('a missing folder is named', async () => {
  const folder = await scratchFolder();
  const target = path.join(folder, 'not/there/model.gguf');
  await expect(writeWhole(target, makeFolder)).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('not/there'),
  });
});

test('what a killed process left is cleaned up by the next one for the same name', async () => {
  const folder = await scratchFolder();
  const target = path.join(folder, 'model.gguf');
  const script = `
    import { writeFile } from 'node:fs/promises';
    import { writeWhole } from ${JSON.stringify(path.join(import.meta.dirname, 'whole-output.ts'))};
    await writeWhole(process.argv[1], async (passing) => {
      await writeFile(passing, 'half');
      process.kill(process.pid, 'SIGKILL');
    });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, target]);
  await new Promise((resolve) => child.once('close', resolve));
  expect(await readdir(folder)).toHaveLength(1);
  await writeWhole(target, (passing) => writeFile(passing, 'whole'));
  expect(await readdir(folder)).toEqual(['model.gguf']);
});

test('a living process keeps what it is writing', async () => {
  const folder = await scratchFolder();
  const target = path.join(folder, 'model.gguf');
  await writeWhole(target, async (passing) => {
    await writeFile(passing, 'mine');
    const other = writeWhole(target, (second) => writeFile(second, 'of another'));
    await other;
    expect(await readFile(passing, 'utf8')).toBe('mine');
  }).catch((error: unknown) => expect(error).toMatchObject({ code: 'already_exists' }));
  expect(await readFile(target, 'utf8')).toBe('of another');
});
