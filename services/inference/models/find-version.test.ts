import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { draftManifest, writeDraftFiles } from '@slipway/shared/bucket/testing/draft.ts';
import { describe, expect, it } from 'vitest';
import { bucketsFor, findVersion, followedReference } from './find-version.ts';

async function bucketWith(...names: string[]) {
  const bucket = openFolderBucket(mkdtempSync(join(tmpdir(), 'slipway-find-')));
  for (const name of names) {
    const staging = await bucket.stage(name);
    await writeDraftFiles(staging, name);
    await staging.publish(draftManifest(name));
  }
  return bucket;
}

describe('findVersion', () => {
  it('takes the first model of the first bucket that has one', async () => {
    const buckets = [await bucketWith(), await bucketWith('zebra', 'ant'), await bucketWith('aardvark')];
    expect((await findVersion(buckets, null)).manifest).toMatchObject({ name: 'ant', version: 'v001' });
  });

  it('looks for a name in every bucket, in order', async () => {
    const [first, second] = [await bucketWith('one'), await bucketWith('one', 'two')];
    expect((await findVersion([first, second], 'one')).bucket).toBe(first);
    expect((await findVersion([first, second], 'two@v001')).bucket).toBe(second);
  });

  it('reads a hub name without its owner', async () => {
    expect((await findVersion([await bucketWith('actor')], 'org/actor')).manifest.name).toBe('actor');
  });

  it('says where it looked and what is there', async () => {
    const bucket = await bucketWith('one', 'two');
    await expect(findVersion([bucket], 'three')).rejects.toThrow(
      `model "three" is not in ${bucket.location}; there is one, two`,
    );
    const elsewhere = await bucketWith('three');
    await expect(findVersion([elsewhere, bucket], 'one@v009')).rejects.toThrow(
      `one has no version v009 in ${bucket.location}; it has v001`,
    );
    await expect(findVersion([await bucketWith()], 'three')).rejects.toThrow(/there is none$/);
    await expect(findVersion([await bucketWith()], null)).rejects.toThrow(/make one with slipway convert/);
  });
});

describe('bucketsFor', () => {
  it('looks in the working directory and then in the bundled bucket, or only where it was told to', () => {
    expect(bucketsFor(null).map(({ location }) => location)).toEqual([
      expect.stringMatching(/\/bucket$/),
      expect.stringMatching(/\/models$/),
    ]);
    expect(bucketsFor('/srv/bucket').map(({ location }) => location)).toEqual(['/srv/bucket']);
  });
});

describe('followedReference', () => {
  it.each([
    [null, 'one'],
    ['one', 'one'],
    ['owner/one', 'one'],
    ['one@champion', 'one@champion'],
    ['one@v001', undefined],
  ])('of %s is %s', (model, reference) => {
    expect(followedReference(model, { name: 'one' })).toBe(reference);
  });
});
