/**
 * What every bucket must do, as one suite that each implementation runs. Knows the contract, not where things are kept.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { fileSetsConformance } from './conformance-file-sets.ts';
import { namesConformance } from './conformance-names.ts';
import { draftManifest, publish, textOf, writeDraftFiles } from './testing/draft.ts';

/** `openEmpty` gives a new, empty bucket for each test. */
export function bucketConformance(kind: string, openEmpty: () => Promise<Bucket>): void {
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

  namesConformance(kind, openEmpty);
  fileSetsConformance(kind, openEmpty);
}
