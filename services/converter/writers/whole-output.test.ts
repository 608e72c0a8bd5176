import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
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

describe('a process that is ended while it writes', () => {
  const WRITES = `
    import { writeFile } from 'node:fs/promises';
    import { writeWhole } from ${JSON.stringify(path.join(import.meta.dirname, 'whole-output.ts'))};
    await writeWhole(process.argv[1], async (passing) => {
      await writeFile(passing, 'half');
      console.log('writing');
      await new Promise((resolve) => setTimeout(resolve, 30_000));
    });`;

  async function endedBy(signal: NodeJS.Signals, target: string): Promise<NodeJS.Signals | null> {
    const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', WRITES, target]);
    child.stdout.once('data', () => child.kill(signal));
    const [, by] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('close', (code, ended) => resolve([code, ended])),
    );
    return by;
  }

  test.each(['SIGINT', 'SIGTERM'] as const)('by %s leaves nothing, and ends by it', async (signal) => {
    const folder = await scratchFolder();
    expect(await endedBy(signal, path.join(folder, 'model.gguf'))).toBe(signal);
    expect(await readdir(folder)).toEqual([]);
  });

  test('by SIGKILL leaves what the next one for the same name cleans up', async () => {
    const folder = await scratchFolder();
    const target = path.join(folder, 'model.gguf');
    expect(await endedBy('SIGKILL', target)).toBe('SIGKILL');
    expect(await readdir(folder)).toHaveLength(1);
    await pause(10);
    await writeWhole(target, (passing) => writeFile(passing, 'whole'));
    expect(await readdir(folder)).toEqual(['model.gguf']);
  });
});
