/**
 * What every bucket must do with names: aliases that move, versions that are removed, restored and collected. Part of the suite in
 * conformance.ts.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { publish, textOf } from './testing/draft.ts';

export function namesConformance(kind: string, openEmpty: () => Promise<Bucket>): void {
  describe(`${kind}: aliases`, () => {
    async function publishVersions(bucket: Bucket, count: number) {
      for (let index = 1; index <= count; index++) await publish(bucket, 'tiny', `content ${index}`);
    }
    const championOf = async (bucket: Bucket) => (await bucket.aliases('tiny')).get('champion');

    it('makes NAME the champion once there is one, and the newest before and after', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 2);
      expect(await bucket.aliases('tiny')).toEqual(new Map([['latest', 'v002']]));
      await bucket.setAlias('tiny', 'champion', 'v001');
      await bucket.setAlias('tiny', 'canary', 'v002');
      expect([...(await bucket.aliases('tiny'))]).toEqual([
        ['canary', 'v002'],
        ['champion', 'v001'],
        ['latest', 'v002'],
      ]);
      expect((await bucket.resolve('tiny')).version).toBe('v001');
      expect((await bucket.resolve('tiny@champion')).version).toBe('v001');
      expect((await bucket.resolve('tiny@canary')).version).toBe('v002');
      expect((await bucket.resolve('tiny@latest')).version).toBe('v002');
      await bucket.setAlias('tiny', 'champion', null);
      expect((await bucket.resolve('tiny')).version).toBe('v002');
      await expect(bucket.resolve('tiny@champion')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('canary (v002)'),
      });
    });

    it('rolls back as often as there was a move, and says when there is nothing before', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 3);
      for (const version of ['v001', 'v002', 'v002', 'v003']) await bucket.setAlias('tiny', 'champion', version);
      expect((await bucket.resolve('tiny@previous')).version).toBe('v002');
      expect(await bucket.rollback('tiny')).toBe('v002');
      expect((await bucket.resolve('tiny@previous')).version).toBe('v001');
      expect(await bucket.rollback('tiny', 'champion', { expected: 'v002' })).toBe('v001');
      expect(await championOf(bucket)).toBe('v001');
      await expect(bucket.rollback('tiny')).rejects.toMatchObject({ code: 'not_found' });
      await expect(bucket.rollback('nobody')).rejects.toThrow('no model "nobody"');
      await expect(bucket.resolve('tiny@previous')).rejects.toMatchObject({ code: 'not_found' });
      const changes = await bucket.changes('tiny');
      expect(changes.map(({ at: _, ...change }) => change)).toEqual([
        { kind: 'set', alias: 'champion', version: 'v001' },
        { kind: 'set', alias: 'champion', version: 'v002' },
        { kind: 'set', alias: 'champion', version: 'v003' },
        { kind: 'rollback', alias: 'champion', version: 'v002' },
        { kind: 'rollback', alias: 'champion', version: 'v001' },
      ]);
      expect(Date.now() - (changes[0]?.at.getTime() ?? 0)).toBeLessThan(60_000);
    });

    it('rolls back over versions that have been removed', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 3);
      for (const version of ['v001', 'v002', 'v003']) await bucket.setAlias('tiny', 'champion', version);
      await bucket.remove('tiny', 'v002');
      expect(await bucket.rollback('tiny')).toBe('v001');
    });

    it('moves an alias only from where it is expected, and says where it is', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 3);
      await bucket.setAlias('tiny', 'champion', 'v001', { expected: null });
      await bucket.setAlias('tiny', 'champion', 'v002', { expected: 'v001' });
      for (const expected of ['v001', null]) {
        await expect(bucket.setAlias('tiny', 'champion', 'v003', { expected })).rejects.toMatchObject({
          code: 'conflict',
          message: expect.stringContaining('v002'),
        });
        await expect(bucket.rollback('tiny', 'champion', { expected })).rejects.toMatchObject({ code: 'conflict' });
      }
      expect(await championOf(bucket)).toBe('v002');
      // Somebody wanted the same, or this is the second attempt of one whose answer got lost.
      await bucket.setAlias('tiny', 'champion', 'v002', { expected: 'v001' });
      expect(await bucket.changes('tiny')).toHaveLength(2);
    });

    it('lets one of many who move it from the same place succeed', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 6);
      await bucket.setAlias('tiny', 'champion', 'v006');
      const moves = await Promise.allSettled(
        ['v001', 'v002', 'v003', 'v004', 'v005'].map((version) =>
          bucket.setAlias('tiny', 'champion', version, { expected: 'v006' }),
        ),
      );
      const won = moves.findIndex(({ status }) => status === 'fulfilled');
      expect(moves.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await championOf(bucket)).toBe(`v00${won + 1}`);
      expect(await bucket.rollback('tiny')).toBe('v006');
    });

    it('loses no move when many are made at once', async () => {
      const bucket = await openEmpty();
      await publishVersions(bucket, 2);
      const names = ['a', 'b', 'c', 'd', 'constructor'];
      await Promise.all(names.map((alias) => bucket.setAlias('tiny', alias, 'v001')));
      expect([...(await bucket.aliases('tiny')).keys()]).toEqual([...names, 'latest'].sort());
    });

    it.each(['latest', 'previous', 'v1', 'v007', '', 'Champion', '../x', 'a b', '-a', 'a'.repeat(33)])(
      'refuses to set %j',
      async (alias) => {
        const bucket = await openEmpty();
        await publish(bucket);
        await expect(bucket.setAlias('tiny', alias, 'v001')).rejects.toMatchObject({ code: 'invalid_field' });
      },
    );

    it('refuses to point at what is not there', async () => {
      const bucket = await openEmpty();
      await expect(bucket.setAlias('tiny', 'champion', 'v001')).rejects.toMatchObject({ code: 'not_found' });
      await publish(bucket);
      await expect(bucket.setAlias('tiny', 'champion', 'v002')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('v001'),
      });
      expect(await championOf(bucket)).toBeUndefined();
    });
  });

  describe(`${kind}: removing`, () => {
    it('hides a version until it is restored, and never gives its number again', async () => {
      const bucket = await openEmpty();
      await publish(bucket, 'tiny', 'one');
      const second = await publish(bucket, 'tiny', 'two');
      await bucket.remove('tiny', 'v002');
      expect(await bucket.versions('tiny')).toEqual(['v001']);
      expect((await bucket.resolve('tiny')).version).toBe('v001');
      await expect(bucket.resolve('tiny@v002')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('can be restored'),
      });
      expect([...(await bucket.removed('tiny')).keys()]).toEqual(['v002']);
      expect((await publish(bucket, 'tiny', 'two')).version).toBe('v003');
      await bucket.restore('tiny', 'v002');
      expect(await bucket.resolve('tiny@v002')).toEqual(second);
      expect([...(await bucket.removed('tiny')).keys()]).toEqual([]);
      // Restoring what is there is done already.
      await bucket.restore('tiny', 'v002');
      await expect(bucket.restore('tiny', 'v009')).rejects.toMatchObject({ code: 'not_found' });
    });

    it('refuses what an alias points at, the only version, and what is not there', async () => {
      const bucket = await openEmpty();
      await publish(bucket, 'tiny', 'one');
      await expect(bucket.remove('tiny', 'v001')).rejects.toMatchObject({ code: 'conflict' });
      await publish(bucket, 'tiny', 'two');
      await bucket.setAlias('tiny', 'canary', 'v001');
      await expect(bucket.remove('tiny', 'v001')).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('canary'),
      });
      await expect(bucket.remove('tiny', 'v003')).rejects.toMatchObject({ code: 'not_found' });
      await expect(bucket.remove('nobody', 'v001')).rejects.toMatchObject({ code: 'not_found' });
      await bucket.setAlias('tiny', 'canary', 'v002');
      await bucket.remove('tiny', 'v001');
      expect(await bucket.versions('tiny')).toEqual(['v002']);
    });

    it('never leaves an alias at a removed version, whoever is quicker', async () => {
      const bucket = await openEmpty();
      for (let round = 0; round < 5; round++) {
        const name = `race-${round}`;
        await publish(bucket, name, 'one');
        await publish(bucket, name, 'two');
        const outcome = await Promise.allSettled([
          bucket.remove(name, 'v001'),
          bucket.setAlias(name, 'champion', 'v001'),
        ]);
        expect(outcome.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        await bucket.resolve(name);
      }
    });

    it('collects what nothing can reach, after saying what that is', async () => {
      const bucket = await openEmpty();
      const kept = await publish(bucket, 'tiny', 'kept');
      const gone = await publish(bucket, 'tiny', 'gone');
      await publish(bucket, 'other', 'kept');
      const bytes = gone.files.reduce((sum, file) => sum + file.bytes, 0);
      expect(await bucket.collect({ graceMs: 0 })).toEqual({ versions: [], blobs: 0, bytes: 0 });
      await bucket.remove('tiny', 'v002');
      expect(await bucket.collect()).toEqual({ versions: [], blobs: 0, bytes: 0 });
      const freed = { versions: ['tiny@v002'], blobs: 3, bytes };
      expect(await bucket.collect({ graceMs: 0, dryRun: true })).toEqual(freed);
      expect([...(await bucket.removed('tiny')).keys()]).toEqual(['v002']);
      expect(await textOf(bucket.read(gone, 'serving.onnx'))).toContain('gone');

      expect(await bucket.collect({ graceMs: 0 })).toEqual(freed);
      expect(await bucket.collect({ graceMs: 0 })).toEqual({ versions: [], blobs: 0, bytes: 0 });
      await expect(bucket.restore('tiny', 'v002')).rejects.toMatchObject({ code: 'not_found' });
      await expect(textOf(bucket.read(gone, 'serving.onnx'))).rejects.toThrow();
      expect(await textOf(bucket.read(kept, 'serving.onnx'))).toContain('kept');
      expect((await publish(bucket, 'tiny', 'next')).version).toBe('v003');
    });

    it('takes no folder away that is in use', async () => {
      const bucket = await openEmpty();
      const used = await publish(bucket, 'tiny', 'used');
      await publish(bucket, 'tiny', 'next');
      const folder = await bucket.materialize(used);
      await bucket.remove('tiny', 'v001');
      await bucket.collect({ graceMs: 0 });
      expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toContain('used');
      await bucket.release(used);
    });

    it('collects nothing that a version shares with one that is gone', async () => {
      const bucket = await openEmpty();
      await publish(bucket, 'tiny', 'shared');
      await publish(bucket, 'tiny', 'between');
      const last = await publish(bucket, 'tiny', 'shared');
      await bucket.remove('tiny', 'v001');
      expect(await bucket.collect({ graceMs: 0 })).toEqual({ versions: ['tiny@v001'], blobs: 0, bytes: 0 });
      await bucket.materialize(last);
    });
  });
}
