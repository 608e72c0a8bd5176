/**
 * What every bucket must do, as one suite that each implementation runs. Knows the contract, not where things are kept.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';

/** `openEmpty` gives a new, empty bucket for each test. */
export function bucketConformance(kind: string, openEmpty: () => Promise<Bucket>): void {
  async function publish(bucket: Bucket, name = 'tiny', content = 'content') {
    const staging = await bucket.stage(name);
    await writeDraftFiles(staging, content);
    return staging.publish(draftManifest(name));
  }

  describe(`${kind}: the bucket contract`, () => {
    it('begins empty', async () => {
      const bucket = await openEmpty();
      expect(await bucket.models()).toEqual([]);
      expect(await bucket.versions('anything')).toEqual([]);
    });

    it('publishes a version whose files come back byte for byte', async () => {
      const bucket = await openEmpty();
      const manifest = await publish(bucket, 'tiny', 'hello');
      expect(manifest).toMatchObject({ name: 'tiny', version: 'v001', schema: 1 });
      expect(manifest.files.map(({ path }) => path)).toEqual(['onnx/model.onnx', 'serving.onnx', 'tokenizer.json']);
      const folder = await bucket.materialize(await bucket.resolve('tiny'));
      for (const { path, bytes } of manifest.files) {
        const text = await readFile(join(folder, path), 'utf8');
        expect(text).toBe(`${path}: hello`);
        expect(bytes).toBe(text.length);
      }
    });

    it('counts versions up and resolves NAME, NAME@latest and NAME@v001', async () => {
      const bucket = await openEmpty();
      await publish(bucket, 'tiny', 'one');
      await publish(bucket, 'tiny', 'two');
      await publish(bucket, 'other', 'three');
      expect(await bucket.models()).toEqual(['other', 'tiny']);
      expect(await bucket.versions('tiny')).toEqual(['v001', 'v002']);
      expect((await bucket.resolve('tiny')).version).toBe('v002');
      expect((await bucket.resolve('tiny@latest')).version).toBe('v002');
      expect((await bucket.resolve('tiny@v001')).version).toBe('v001');
      const folder = await bucket.materialize(await bucket.resolve('tiny@v001'));
      expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('serving.onnx: one');
    });

    it('shows nothing of a staging until it is published, and nothing after it is discarded', async () => {
      const bucket = await openEmpty();
      const staging = await bucket.stage('tiny');
      await writeDraftFiles(staging, 'secret');
      expect(await bucket.models()).toEqual([]);
      await expect(bucket.resolve('tiny')).rejects.toMatchObject({ code: 'not_found' });
      await staging.discard();
      await expect(readFile(join(staging.folder, 'serving.onnx'))).rejects.toMatchObject({ code: 'ENOENT' });
      expect(await bucket.models()).toEqual([]);
    });

    it('keeps two stagings of one name apart', async () => {
      const bucket = await openEmpty();
      const [first, second] = await Promise.all([bucket.stage('tiny'), bucket.stage('tiny')]);
      await Promise.all([writeDraftFiles(first, 'one'), writeDraftFiles(second, 'two')]);
      const published = await Promise.all([
        first.publish(draftManifest('tiny')),
        second.publish(draftManifest('tiny')),
      ]);
      expect(published.map(({ version }) => version).sort()).toEqual(['v001', 'v002']);
      for (const [index, content] of ['one', 'two'].entries()) {
        const manifest = published[index];
        if (!manifest) throw new Error('not published');
        const folder = await bucket.materialize(manifest);
        expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toBe(`tokenizer.json: ${content}`);
      }
    });

    it('says what there is when a reference names nothing', async () => {
      const bucket = await openEmpty();
      await expect(bucket.resolve('tiny')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('empty'),
      });
      await publish(bucket, 'tiny');
      await expect(bucket.resolve('huge')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('tiny'),
      });
      await expect(bucket.resolve('tiny@v009')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('v001'),
      });
    });

    it.each([
      '',
      '..',
      '../tiny',
      '/etc/passwd',
      'a/b',
      'a\\b',
      'tiny@',
      'tiny@../v001',
      'tiny@v1',
      'a@b@c',
      'a\0b',
      '.hidden',
    ])('refuses the reference %j', async (reference) => {
      const bucket = await openEmpty();
      await publish(bucket, 'tiny');
      await expect(bucket.resolve(reference)).rejects.toMatchObject({ code: 'invalid_field' });
    });

    it('refuses to stage under a name that is no name', async () => {
      const bucket = await openEmpty();
      await expect(bucket.stage('../outside')).rejects.toMatchObject({ code: 'invalid_field' });
    });

    it('does not publish a manifest that names a file nobody wrote, and leaves nothing of it', async () => {
      const bucket = await openEmpty();
      const staging = await bucket.stage('tiny');
      await writeFile(join(staging.folder, 'tokenizer.json'), '{}');
      await expect(staging.publish(draftManifest('tiny'))).rejects.toThrow('serving.onnx');
      expect(await bucket.models()).toEqual([]);
    });

    it('materializes once: the second time gives the same folder', async () => {
      const bucket = await openEmpty();
      const manifest = await publish(bucket, 'tiny');
      expect(await bucket.materialize(manifest)).toBe(await bucket.materialize(manifest));
    });

    it('publishes the same thing once: the same version is given again, and another word makes another', async () => {
      const bucket = await openEmpty();
      const first = await publish(bucket);
      expect(await publish(bucket)).toEqual(first);
      expect(await bucket.versions('tiny')).toEqual(['v001']);
      const staging = await bucket.stage('tiny');
      await writeDraftFiles(staging, 'content');
      const described = await staging.publish({ ...draftManifest('tiny'), description: 'the same, described' });
      expect(described).toMatchObject({ version: 'v002', description: 'the same, described', files: first.files });
      const stagings = await Promise.all([0, 1, 2].map(() => bucket.stage('twins')));
      for (const twin of stagings) await writeDraftFiles(twin, 'twin');
      const twins = await Promise.all(stagings.map((twin) => twin.publish(draftManifest('twins'))));
      expect(twins.map(({ version }) => version)).toEqual(['v001', 'v001', 'v001']);
      // What is not the newest is published anew: the newest is what people get.
      expect((await publish(bucket)).version).toBe('v003');
    });

    it('keeps what a version says of its origin', async () => {
      const bucket = await openEmpty();
      const lineage = {
        data: [{ name: 'corpus.txt', bytes: 5, sha256: 'a'.repeat(64) }],
        config: { learning_rate: 0.1, nested: { list: [1, 'two', null] } },
        git_commit: '0123456789abcdef',
        libraries: { torch: '2.15.0' },
        seeds: { torch: 7 },
        parent: 'tiny@v001',
      };
      const staging = await bucket.stage('tiny');
      await writeDraftFiles(staging, 'content');
      await staging.publish({ ...draftManifest('tiny'), lineage });
      expect((await bucket.resolve('tiny')).lineage).toEqual(lineage);
    });

    it('reads any file, whole and in part', async () => {
      const bucket = await openEmpty();
      const manifest = await publish(bucket, 'tiny', 'hello');
      const text = 'serving.onnx: hello';
      expect(await textOf(bucket.read(manifest, 'serving.onnx'))).toBe(text);
      expect(await textOf(bucket.read(manifest, 'serving.onnx', { start: 3, end: 7 }))).toBe(text.slice(3, 7));
      expect(await textOf(bucket.read(manifest, 'serving.onnx', { start: 14 }))).toBe('hello');
      expect(await textOf(bucket.read(manifest, 'serving.onnx', { start: 5, end: 5 }))).toBe('');
      expect(await textOf(bucket.read(manifest, 'serving.onnx', { start: text.length }))).toBe('');
      for (const range of [{ start: -1 }, { start: 2, end: 1 }, { end: 20 }, { start: 0.5 }]) {
        await expect(bucket.read(manifest, 'serving.onnx', range)).rejects.toMatchObject({ code: 'invalid_field' });
      }
      await expect(bucket.read(manifest, '../manifests/tiny/v001.json')).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('tokenizer.json'),
      });
    });
  });

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

async function textOf(stream: Promise<Readable>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}
