/** The local cache: nothing is fetched twice, nothing damaged is served, and what is in use stays. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { appendFile, chmod, mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Manifest } from '../contracts/manifest.ts';
import { type Fetch, openCache } from './cache.ts';
import { chooseEvictions } from './choose-evictions.ts';
import { blobKey } from './keys.ts';
import { draftManifest } from './testing/draft.ts';

const scratch = await mkdtemp(join(tmpdir(), 'slipway-cache-'));
afterAll(() => rm(scratch, { recursive: true, force: true }));
let roots = 0;
const newRoot = () => join(scratch, `cache-${roots++}`);
const open = (root: string, limitBytes = 1e9) => openCache({ root, bucket: 'somewhere', limitBytes });

/** A version whose files are these. */
function manifestOf(version: string, contents: Readonly<Record<string, string>>): Manifest {
  const files = Object.entries(contents).map(([path, content]) => ({
    path,
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  }));
  return { ...draftManifest('tiny'), version, created_at: '2026-01-01T00:00:00Z', files };
}

/** Gives what the manifests say, and counts. */
function server(...all: Readonly<Record<string, string>>[]) {
  const fetched: string[] = [];
  const fetch: Fetch = async ({ path, sha256 }, target) => {
    fetched.push(path);
    const content = all.flatMap((contents) => Object.values(contents)).find((text) => hashOf(text) === sha256);
    await writeFile(target, content ?? '');
  };
  return { fetch, fetched };
}

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const never: Fetch = async () => {
  throw new Error('nothing should be fetched');
};

const ONE = { 'serving.onnx': 'weights one', 'tokenizer.json': 'shared' };
const TWO = { 'serving.onnx': 'weights two', 'tokenizer.json': 'shared' };
const THREE = { 'serving.onnx': 'weights three' };

describe('the cache', () => {
  it('fetches each blob once, whichever version it is in', async () => {
    const cache = open(newRoot());
    const { fetch, fetched } = server(ONE, TWO);
    const folder = await cache.materialize(manifestOf('v001', ONE), fetch);
    expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('weights one');
    expect(await cache.materialize(manifestOf('v001', ONE), never)).toBe(folder);
    await cache.materialize(manifestOf('v002', TWO), fetch);
    expect(fetched.sort()).toEqual(['serving.onnx', 'serving.onnx', 'tokenizer.json']);
  });

  it('fetches once when it is asked twice at once', async () => {
    const cache = open(newRoot());
    const { fetch, fetched } = server(ONE);
    await Promise.all([0, 1, 2].map(() => cache.materialize(manifestOf('v001', ONE), fetch)));
    expect(fetched).toHaveLength(2);
  });

  it('keeps versions of one name in two buckets apart', async () => {
    const root = newRoot();
    const here = await open(root).materialize(manifestOf('v001', ONE), server(ONE).fetch);
    const there = await openCache({ root, bucket: 'elsewhere', limitBytes: 1e9 }).materialize(
      manifestOf('v001', TWO),
      server(TWO).fetch,
    );
    expect(await readFile(join(here, 'serving.onnx'), 'utf8')).toBe('weights one');
    expect(await readFile(join(there, 'serving.onnx'), 'utf8')).toBe('weights two');
  });

  it('fetches a file anew that was changed, in the folder or in the blob', async () => {
    const root = newRoot();
    const cache = open(root);
    const manifest = manifestOf('v001', ONE);
    const folder = await cache.materialize(manifest, server(ONE).fetch);
    await chmod(join(folder, 'serving.onnx'), 0o644);
    await appendFile(join(folder, 'serving.onnx'), '!');
    const again = server(ONE);
    await cache.materialize(manifest, again.fetch);
    expect(again.fetched).toEqual(['serving.onnx']);
    expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('weights one');

    const blob = join(root, blobKey(hashOf('weights one')));
    await rm(join(root, 'materialized'), { recursive: true });
    await chmod(blob, 0o644);
    await writeFile(blob, 'weights 0ne');
    await cache.materialize(manifest, again.fetch);
    expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('weights one');
  });

  it('looks at its files again after another start of the machine', async () => {
    const root = newRoot();
    const manifest = manifestOf('v001', ONE);
    const folder = await open(root).materialize(manifest, server(ONE).fetch);
    const file = join(folder, '../verified.json');
    const verified = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...verified, boot: 'an earlier one' }));
    // What a power cut can leave: all is as it was but the bytes.
    const { mtime } = await stat(join(folder, 'serving.onnx'));
    await chmod(join(folder, 'serving.onnx'), 0o644);
    await writeFile(join(folder, 'serving.onnx'), '\0'.repeat('weights one'.length));
    await utimes(join(folder, 'serving.onnx'), mtime, mtime);
    const again = server(ONE);
    await open(root).materialize(manifest, again.fetch);
    expect(again.fetched).toEqual(['serving.onnx']);
    expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('weights one');
  });

  it('goes on with what a failed attempt, or a dead process, has left', async () => {
    const root = newRoot();
    const manifest = manifestOf('v001', THREE);
    const failing: Fetch = async (_, target) => {
      await appendFile(target, 'weights');
      throw new Error('cut off');
    };
    await expect(open(root).materialize(manifest, failing)).rejects.toThrow('cut off');
    const left = readdirSync(join(root, 'downloads'));
    expect(left).toHaveLength(1);
    // The process id of nobody.
    const dead = (left[0] ?? '').replace(`-${process.pid}-`, '-4194999-');
    await rename(join(root, 'downloads', left[0] ?? ''), join(root, 'downloads', dead));
    const goingOn: Fetch = async (_, target) => {
      expect(await readFile(target, 'utf8')).toBe('weights');
      await appendFile(target, ' three');
    };
    const folder = await open(root).materialize(manifest, goingOn);
    expect(await readFile(join(folder, 'serving.onnx'), 'utf8')).toBe('weights three');
    expect(readdirSync(join(root, 'downloads'))).toEqual([]);
  });

  it('lets go of what was not used for longest when there is too much, and of nothing that is in use', async () => {
    const root = newRoot();
    const place = (folder: string) => join(folder, '..');
    const first = open(root, 40);
    const user = open(root, 40);
    const old = await first.materialize(manifestOf('v001', ONE), server(ONE).fetch);
    const used = await user.materialize(manifestOf('v002', TWO), server(TWO).fetch);
    await first.release(manifestOf('v001', ONE));
    await utimes(place(used), 0, 0);
    const third = await first.materialize(manifestOf('v003', THREE), server(THREE).fetch);
    expect(existsSync(old)).toBe(false);
    expect(existsSync(join(root, blobKey(hashOf('weights one'))))).toBe(false);
    expect(await readFile(join(used, 'tokenizer.json'), 'utf8')).toBe('shared');
    await user.materialize(manifestOf('v002', TWO), never);

    await user.release(manifestOf('v002', TWO));
    await first.release(manifestOf('v003', THREE));
    // Two uses within one millisecond are equally old.
    await utimes(place(third), 0, 0);
    const { fetch } = server(ONE);
    await first.materialize(manifestOf('v001', ONE), fetch);
    expect(existsSync(join(root, blobKey(hashOf('weights three'))))).toBe(false);
  });

  it('serves what is larger than the limit', async () => {
    const folder = await open(newRoot(), 0).materialize(manifestOf('v001', ONE), server(ONE).fetch);
    expect((await stat(join(folder, 'serving.onnx'))).size).toBe(11);
  });

  it('has what was published from here without fetching it', async () => {
    const root = newRoot();
    const cache = open(root);
    const place = await cache.staging.open();
    const path = join(place.path, 'files', 'serving.onnx');
    await writeFile(path, 'weights three');
    await cache.adopt([{ path, sha256: hashOf('weights three') }]);
    await place.remove('published');
    await cache.materialize(manifestOf('v003', THREE), never);
  });
});

describe('chooseEvictions', () => {
  const blobs = ['a', 'b', 'c', 'loose'].map((sha256) => ({ sha256, bytes: 10 }));
  const version = (place: string, lastUsed: number, sha256: string[], inUse = false) => ({
    place,
    lastUsed,
    sha256,
    inUse,
  });
  const versions = [version('old', 1, ['a', 'b']), version('new', 2, ['b', 'c']), version('used', 0, ['c'], true)];

  it.each([
    [40, [], []],
    [30, [], ['loose']],
    [29, ['old'], ['loose', 'a']],
    [19, ['old', 'new'], ['loose', 'a', 'b']],
    [-5, ['old', 'new'], ['loose', 'a', 'b']],
  ])('with room for %i bytes lets go of %j and of the blobs %j', (room, places, hashes) => {
    const chosen = chooseEvictions({ blobs, versions, neededBlobs: new Set(), room });
    expect(chosen.versions.map(({ place }) => place)).toEqual(places);
    expect(chosen.blobs.map(({ sha256 }) => sha256)).toEqual(hashes);
  });

  it('keeps blobs that somebody is about to use', () => {
    const chosen = chooseEvictions({ blobs, versions, neededBlobs: new Set(['loose', 'a']), room: 0 });
    expect(chosen.blobs.map(({ sha256 }) => sha256)).toEqual(['b']);
  });
});
