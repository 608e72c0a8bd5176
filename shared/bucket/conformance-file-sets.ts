/**
 * What every bucket must do with file sets: put, listed, fetched, removed, and what a collection spares. Part of the suite in
 * conformance.ts.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Bucket } from './bucket.ts';
import { publish, textOf } from './testing/draft.ts';

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-sets-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

/** Of paths and their text. */
async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await scratch();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

export function fileSetsConformance(kind: string, openEmpty: () => Promise<Bucket>): void {
  describe(`${kind}: file sets`, () => {
    it('come back byte for byte under their names', async () => {
      const bucket = await openEmpty();
      expect(await bucket.fileSets('')).toEqual([]);
      const set = await bucket.putFiles(
        'runs/a/checkpoints/step-1',
        await folderOf({ weights: 'w', 'deep/er/state': 's', empty: '' }),
      );
      expect(set.files.map(({ path, bytes }) => [path, bytes])).toEqual([
        ['deep/er/state', 1],
        ['empty', 0],
        ['weights', 1],
      ]);
      await bucket.putFiles('runs/a/checkpoints/step-2', await folderOf({ weights: 'v' }));
      await bucket.putFiles('runs/b/final', await folderOf({ 'run.json': '{}' }));
      expect(await bucket.fileSets('runs/a/')).toEqual(['runs/a/checkpoints/step-1', 'runs/a/checkpoints/step-2']);
      expect(await bucket.fileSets('')).toHaveLength(3);
      expect(await bucket.fileSets('runs/nobody/')).toEqual([]);
      const target = join(await scratch(), 'fetched');
      expect(await bucket.fetchFiles('runs/a/checkpoints/step-1', target)).toEqual(set);
      expect(await readFile(join(target, 'deep/er/state'), 'utf8')).toBe('s');
      expect(await readFile(join(target, 'empty'), 'utf8')).toBe('');
      expect(await readdir(dirname(target))).toEqual(['fetched']);
      // It is the caller's own: what becomes of it is nothing to the bucket.
      await writeFile(join(target, 'weights'), 'changed');
      const again = join(await scratch(), 'fetched');
      await bucket.fetchFiles('runs/a/checkpoints/step-1', again);
      expect(await readFile(join(again, 'weights'), 'utf8')).toBe('w');
      expect(await bucket.models()).toEqual([]);
    });

    it('never change: the same again is success, anything else a conflict, until they are removed', async () => {
      const bucket = await openEmpty();
      const first = await bucket.putFiles('data/x', await folderOf({ a: '1' }));
      expect(await bucket.putFiles('data/x', await folderOf({ a: '1' }))).toEqual(first);
      for (const files of [{ a: '2' }, { b: '1' }, { a: '1', b: '1' }]) {
        await expect(bucket.putFiles('data/x', await folderOf(files))).rejects.toMatchObject({ code: 'conflict' });
      }
      await bucket.removeFiles('data/x');
      await bucket.removeFiles('data/x');
      expect(await bucket.fileSets('data/')).toEqual([]);
      await expect(bucket.fetchFiles('data/x', join(await scratch(), 'x'))).rejects.toMatchObject({
        code: 'not_found',
      });
      await bucket.putFiles('data/x', await folderOf({ a: '2' }));
      const target = join(await scratch(), 'x');
      await bucket.fetchFiles('data/x', target);
      expect(await readFile(join(target, 'a'), 'utf8')).toBe('2');
    });

    it('of many who put one name one holds, and all others are told', async () => {
      const bucket = await openEmpty();
      const folders = await Promise.all(['1', '1', '2', '3'].map((a) => folderOf({ a })));
      const puts = await Promise.allSettled(folders.map((folder) => bucket.putFiles('data/x', folder)));
      const target = join(await scratch(), 'x');
      await bucket.fetchFiles('data/x', target);
      const winner = await readFile(join(target, 'a'), 'utf8');
      expect(puts.map(({ status }) => status === 'fulfilled')).toEqual(['1', '1', '2', '3'].map((a) => a === winner));
    });

    it('are fetched into a folder that is not there, or not at all', async () => {
      const bucket = await openEmpty();
      await bucket.putFiles('data/x', await folderOf({ a: '1' }));
      const there = await folderOf({ b: 'mine' });
      await expect(bucket.fetchFiles('data/x', there)).rejects.toMatchObject({ code: 'conflict' });
      expect(await readdir(there)).toEqual(['b']);
      // What an attempt left that was cut off, and what it did not: both are made right.
      const target = join(await scratch(), 'x');
      await mkdir(join(dirname(target), '.x.fetched'));
      await writeFile(join(dirname(target), '.x.fetched/a'), 'wrong');
      await writeFile(join(dirname(target), '.x.fetched/stranger'), '');
      await bucket.fetchFiles('data/x', target);
      expect(await readdir(target)).toEqual(['a']);
      expect(await readFile(join(target, 'a'), 'utf8')).toBe('1');
    });

    it.each(['', '/', 'a/', '/a', 'a//b', '../a', 'a/../b', 'a b', '.hidden', 'a\0b', 'x'.repeat(201)])(
      'are not put under %j',
      async (name) => {
        const bucket = await openEmpty();
        await expect(bucket.putFiles(name, await folderOf({ a: '1' }))).rejects.toMatchObject({
          code: 'invalid_field',
        });
      },
    );

    it('are told with the versions that are there or can be restored', async () => {
      const bucket = await openEmpty();
      const [first, second] = [await publish(bucket, 'tiny', 'one'), await publish(bucket, 'tiny', 'two')];
      await bucket.remove('tiny', first.version);
      const set = await bucket.putFiles('data/x', await folderOf({ a: '1' }));
      const { manifests, fileSets } = await bucket.contents();
      expect(new Set(manifests)).toEqual(new Set([first, second]));
      expect(fileSets).toEqual([set]);
      await bucket.collect({ graceMs: 0, fileSets: ['data/x'] });
      expect(await bucket.contents()).toEqual({ manifests: [second], fileSets: [] });
    });

    it('are spared by a collection, with what they share, until they are removed', async () => {
      const bucket = await openEmpty();
      const version = await publish(bucket, 'tiny', 'content');
      const shared = { 'serving.onnx': 'serving.onnx: content' };
      await bucket.putFiles('data/own', await folderOf({ own: 'twelve bytes' }));
      await bucket.putFiles('data/both', await folderOf({ ...shared, own: 'twelve bytes' }));
      const nothing = { versions: [], blobs: 0, bytes: 0 };
      expect(await bucket.collect({ graceMs: 0 })).toEqual(nothing);
      await bucket.removeFiles('data/own');
      expect(await bucket.collect({ graceMs: 0 })).toEqual(nothing);
      const freed = { versions: [], blobs: 1, bytes: 12 };
      expect(await bucket.collect({ dryRun: true, fileSets: ['data/both'] })).toEqual(freed);
      expect(await bucket.fileSets('')).toEqual(['data/both']);
      expect(await bucket.collect({ fileSets: ['data/both'] })).toEqual(freed);
      expect(await bucket.fileSets('')).toEqual([]);
      expect(await textOf(bucket.read(version, 'serving.onnx'))).toBe('serving.onnx: content');
    });

    it('that are being put are spared by collections beside it', async () => {
      const bucket = await openEmpty();
      const folders = await Promise.all([0, 1, 2, 3].map((round) => folderOf({ a: `a ${round}`, b: `b ${round}` })));
      let puts = 0;
      const collecting = (async () => {
        while (puts < folders.length) await bucket.collect({ graceMs: 0 });
      })();
      for (const [round, folder] of folders.entries()) {
        await bucket.putFiles(`data/${round}`, folder);
        puts++;
      }
      await collecting;
      for (const round of folders.keys()) await bucket.fetchFiles(`data/${round}`, join(await scratch(), 'x'));
    });
  });
}
