import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Bucket } from './bucket.ts';
import { EXPORTED_MANIFEST, exportVersion } from './export-version.ts';
import { openFolderBucket } from './folder.ts';
import { blobKey } from './keys.ts';
import { newOwnedName } from './owner.ts';
import { tarHeader } from './tar-header.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';

async function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-export-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const bucket = openFolderBucket(join(folder, 'bucket'));
  const staging = await bucket.stage('tiny');
  await writeDraftFiles(staging, 'x'.repeat(2000));
  const out = join(folder, 'out');
  mkdirSync(out);
  return { bucket, manifest: await staging.publish(draftManifest('tiny')), out };
}

describe('exportVersion', () => {
  it('makes a folder of exactly the version, and its manifest', async () => {
    const { bucket, manifest, out } = await setUp();
    const seen: number[][] = [];
    const target = join(out, 'deep', 'tiny');
    const bytes = await exportVersion(bucket, manifest, target, { onProgress: (...now) => seen.push(now) });
    for (const file of manifest.files) {
      expect(readFileSync(join(target, file.path), 'utf8')).toBe(`${file.path}: ${'x'.repeat(2000)}`);
    }
    expect(JSON.parse(readFileSync(join(target, EXPORTED_MANIFEST), 'utf8'))).toEqual(manifest);
    expect(readdirSync(join(out, 'deep'))).toEqual(['tiny']);
    expect(seen.at(-1)).toEqual([bytes, bytes, manifest.files.length]);
    // One's own copy: changing it must not change the bucket.
    writeFileSync(join(target, 'tokenizer.json'), 'changed');
    expect(readFileSync(join(await bucket.materialize(manifest), 'tokenizer.json'), 'utf8')).toContain('xxx');
  });

  it('makes a tar file that tar reads', async () => {
    const { bucket, manifest, out } = await setUp();
    const target = join(out, 'tiny.tar');
    await exportVersion(bucket, manifest, target);
    execFileSync('tar', ['xf', target, '-C', out]);
    for (const { path } of manifest.files) {
      expect(readFileSync(join(out, 'tiny-v001', path), 'utf8')).toBe(`${path}: ${'x'.repeat(2000)}`);
    }
    expect(existsSync(join(out, 'tiny-v001', EXPORTED_MANIFEST))).toBe(true);
  });

  it.each(['folder', 'file.tar'])('leaves nothing of a damaged version, as %s', async (name) => {
    const { bucket, manifest, out } = await setUp();
    const last = manifest.files.at(-1);
    const blob = join(bucket.location, blobKey(last?.sha256 ?? ''));
    rmSync(blob);
    writeFileSync(blob, 'y'.repeat(last?.bytes ?? 0));
    await expect(exportVersion(bucket, manifest, join(out, name))).rejects.toThrow();
    expect(readdirSync(out)).toEqual([]);
  });

  it('replaces nothing that is there', async () => {
    const { bucket, manifest, out } = await setUp();
    writeFileSync(join(out, 'mine'), 'mine');
    writeFileSync(join(out, 'mine.tar'), 'mine');
    for (const target of [out, join(out, 'mine'), join(out, 'mine.tar')]) {
      await expect(exportVersion(bucket, manifest, target)).rejects.toMatchObject({ code: 'already_exists' });
    }
    expect(readFileSync(join(out, 'mine.tar'), 'utf8')).toBe('mine');
    mkdirSync(join(out, 'empty'));
    await exportVersion(bucket, manifest, join(out, 'empty'));
    expect(readdirSync(out).sort()).toEqual(['empty', 'mine', 'mine.tar']);
  });

  it('stops when it is told to and leaves nothing; what a killed one left is cleaned, what a living one makes is not', async () => {
    const { bucket, manifest, out } = await setUp();
    const stop = new AbortController();
    const target = join(out, 'tiny');
    const running = exportVersion(slow(bucket), manifest, target, {
      signal: stop.signal,
      onProgress: () => stop.abort(),
    });
    await expect(running).rejects.toThrow();
    expect(readdirSync(out)).toEqual([]);
    const dead = newOwnedName().replace(`-${process.pid}-`, '-4194304-');
    mkdirSync(join(out, `.tiny.${dead}.partial`));
    mkdirSync(join(out, `.tiny.${newOwnedName()}.partial`));
    await exportVersion(bucket, manifest, target);
    expect(readdirSync(out)).toEqual([expect.stringContaining(`-${process.pid}-`), 'tiny']);
  });
});

/** A tick before each file. */
function slow(bucket: Bucket): Bucket {
  return {
    ...bucket,
    read: async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return bucket.read(...args);
    },
  };
}

describe('tarHeader', () => {
  it('says sizes from 8 GiB on in binary', () => {
    const header = tarHeader('large', 2 ** 40 + 5, new Date(0));
    expect(header[124]).toBe(0x80);
    expect(header.readBigUInt64BE(128)).toBe(BigInt(2 ** 40 + 5));
  });

  it('splits long paths, and refuses those that cannot be split', () => {
    const header = tarHeader(`${'a'.repeat(90)}/${'b'.repeat(90)}`, 1, new Date(0));
    expect(header.toString('latin1', 345, 345 + 90)).toBe('a'.repeat(90));
    expect(() => tarHeader('c'.repeat(101), 1, new Date(0))).toThrow(/too long a name/);
  });
});
