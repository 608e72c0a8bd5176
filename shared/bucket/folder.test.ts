/**
 * The folder bucket: the conformance suite, and what only a folder can suffer: killed publishers, changed files, full disks.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { bucketConformance } from './conformance.ts';
import { openFolderBucket } from './folder.ts';
import { blobKey } from './keys.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';
import { openUses } from './uses.ts';

const scratch = await mkdtemp(join(tmpdir(), 'slipway-bucket-'));
const mounts: string[] = [];
const children = new Set<ChildProcess>();
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const mount of mounts) spawnSync('umount', [mount]);
  await rm(scratch, { recursive: true, force: true });
});

let folders = 0;
const newFolder = () => join(scratch, `bucket-${folders++}`);

bucketConformance('a folder', async () => openFolderBucket(newFolder()));

async function publish(bucket: Bucket, content: string) {
  const staging = await bucket.stage('tiny');
  await writeDraftFiles(staging, content);
  return staging.publish(draftManifest('tiny'));
}

/** Paths of all regular files below a folder of the bucket. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    statSync(join(folder, path)).isFile(),
  );
}

const startPublisher = (...args: string[]) => startProcess('publisher.ts', args);
/** Prints the folder it uses. */
const startUser = (...args: string[]) => startProcess('user.ts', args);

function startProcess(script: string, args: readonly string[]) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'testing', script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once('close', resolve));
  return {
    exited,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    lines: () => output.split('\n').filter(Boolean),
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe('a publisher killed with SIGKILL', () => {
  it('while building leaves nothing but what the next staging cleans', async () => {
    const folder = newFolder();
    const publisher = startPublisher(folder, 'tiny', 'x', '1', '0', 'hang');
    await until(() => publisher.lines().includes('staged'));
    const bucket = openFolderBucket(folder);
    const whileItLives = await bucket.stage('tiny');
    expect(await readdir(join(folder, 'staging'))).toHaveLength(2);
    await whileItLives.discard();
    expect(await readdir(join(folder, 'staging'))).toHaveLength(1);

    await publisher.kill();
    expect(await bucket.models()).toEqual([]);
    const next = await bucket.stage('tiny');
    expect(await readdir(join(folder, 'staging'))).toHaveLength(1);
    await next.discard();
    expect(await readdir(join(folder, 'staging'))).toEqual([]);
  });

  it('between the blobs and the manifest leaves blobs that the next staging removes', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const survivor = await publish(bucket, 'survivor');
    const blobs = () => filesBelow(join(folder, 'blobs')).length;
    const publisher = startPublisher(folder, 'tiny', 'x', '1', '400');
    await until(() => blobs() > 20);
    await publisher.kill();
    expect(publisher.lines()).toEqual(['staged']);
    expect(blobs()).toBeGreaterThan(survivor.files.length);
    expect(await bucket.versions('tiny')).toEqual(['v001']);

    const next = await bucket.stage('tiny');
    expect(blobs()).toBe(survivor.files.length);
    await next.discard();
    expect(await readFile(join(await bucket.materialize(survivor), 'serving.onnx'), 'utf8')).toContain('survivor');
  });

  it('at any moment never takes a blob from others that publish the same content', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const steady = startPublisher(folder, 'tiny', 'same', '12', '10');
    for (let round = 0; round < 6; round++) {
      const victim = startPublisher(folder, 'tiny', 'same', '50', '10');
      await until(() => victim.lines().length > round);
      await victim.kill();
    }
    expect(await steady.exited).toBe(0);
    const versions = await bucket.versions('tiny');
    expect(versions.length).toBeGreaterThanOrEqual(12);
    for (const version of versions) await bucket.materialize(await bucket.resolve(`tiny@${version}`));
    await (await bucket.stage('tiny')).discard();
    expect(await readdir(join(folder, 'staging'))).toEqual([]);
    expect(filesBelow(join(folder, 'blobs'))).toHaveLength(13);
  });
});

describe('publishers at the same time', () => {
  it('as a cleaner that takes their blobs for those of a dead one get them back', async () => {
    const folder = newFolder();
    const publisher = startPublisher(folder, 'tiny', 'x', '1', '400');
    const blobs = () => filesBelow(join(folder, 'blobs')).map((path) => ({ sha256: path.split('/').at(-1) }));
    await until(() => blobs().length > 20);
    const dead = join(folder, 'staging', '0123456789ab-1-1-aaaa');
    await mkdir(join(dead, 'orphans'), { recursive: true });
    await writeFile(join(dead, 'manifest.json'), JSON.stringify({ files: blobs() }));
    const longAgo = new Date(0);
    await utimes(dead, longAgo, longAgo);
    const bucket = openFolderBucket(folder);
    await (await bucket.stage('tiny')).discard();
    expect(await bucket.versions('tiny'), 'the publisher was too quick for this test').toEqual([]);
    expect(await publisher.exited).toBe(0);
    await bucket.materialize(await bucket.resolve('tiny@v001'));
  });

  it('in four processes take one version each, without a gap', async () => {
    const folder = newFolder();
    const publishers = ['a', 'b', 'c', 'd'].map((content) => startPublisher(folder, 'tiny', content, '5', '0'));
    for (const publisher of publishers) expect(await publisher.exited).toBe(0);
    const taken = publishers.flatMap((publisher) => publisher.lines().filter((line) => line !== 'staged')).sort();
    const all = Array.from({ length: 20 }, (_, index) => `v${String(index + 1).padStart(3, '0')}`);
    expect(taken).toEqual(all);
    const bucket = openFolderBucket(folder);
    expect(await bucket.versions('tiny')).toEqual(all);
    for (const version of all) await bucket.materialize(await bucket.resolve(`tiny@${version}`));
  });
});

describe('a collector beside a publisher', () => {
  it('never takes a blob that a visible version has', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    await publish(bucket, 'other');
    const publisher = startPublisher(folder, 'tiny', 'same', '25', '30');
    let ended = false;
    publisher.exited.then(() => {
      ended = true;
    });
    let collected = 0;
    while (!ended) {
      // All that the publisher has made goes, so that its blobs are rubbish again and again.
      const versions = await bucket.versions('tiny');
      for (const version of versions) {
        const manifest = await bucket.resolve(`tiny@${version}`);
        const missing = manifest.files.filter(({ sha256 }) => !existsSync(join(folder, blobKey(sha256))));
        expect(missing, version).toEqual([]);
        if (version !== 'v001') await bucket.remove('tiny', version);
      }
      collected += (await bucket.collect({ graceMs: 0 })).versions.length;
    }
    expect(await publisher.exited).toBe(0);
    expect(collected).toBeGreaterThan(0);
    for (const version of await bucket.versions('tiny'))
      await bucket.materialize(await bucket.resolve(`tiny@${version}`));
  });
});

describe('staging folders of owners elsewhere', () => {
  it('are left alone while they are touched, and removed when they have not been for long', async () => {
    const folder = newFolder();
    const elsewhere = join(folder, 'staging', '0123456789ab-1-1-aaaa');
    await mkdir(elsewhere, { recursive: true });
    const bucket = openFolderBucket(folder);
    await (await bucket.stage('tiny')).discard();
    expect(existsSync(elsewhere)).toBe(true);
    const anHourAgo = new Date(Date.now() - 3_600_000);
    await utimes(elsewhere, anHourAgo, anHourAgo);
    await (await bucket.stage('tiny')).discard();
    expect(existsSync(elsewhere)).toBe(false);
  });
});

describe('a version whose folder is in use', () => {
  it('is not collected until that process has ended', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const used = await publish(bucket, 'used');
    await publish(bucket, 'next');
    const user = startUser(folder, 'tiny@v001');
    await until(() => user.lines().length === 1);
    await bucket.remove('tiny', 'v001');
    const nothing = { versions: [], blobs: 0, bytes: 0 };
    expect(await bucket.collect({ graceMs: 0 })).toEqual(nothing);
    await user.kill();
    const freed = await bucket.collect({ graceMs: 0 });
    expect(freed).toMatchObject({ versions: ['tiny@v001'], blobs: 3 });
    expect(existsSync(user.lines()[0] ?? '')).toBe(false);
    await expect(bucket.materialize(used)).rejects.toMatchObject({ code: 'internal' });
  });

  it('is not collected until it is released', async () => {
    const bucket = openFolderBucket(newFolder());
    const used = await publish(bucket, 'used');
    await publish(bucket, 'next');
    await bucket.materialize(used);
    await bucket.remove('tiny', 'v001');
    expect((await bucket.collect({ graceMs: 0 })).versions).toEqual([]);
    await bucket.release(used);
    expect((await bucket.collect({ graceMs: 0 })).versions).toEqual(['tiny@v001']);
  });

  it('waits for a collection that has begun', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const manifest = await publish(bucket, 'used');
    const uses = openUses(join(folder, 'materialized', '.uses'));
    let freed = false;
    const freeing = uses.whileFreeing(async () => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      freed = true;
    });
    await until(() => filesBelow(join(folder, 'materialized', '.uses')).some((file) => file.endsWith('.freeing')));
    await bucket.materialize(manifest);
    expect(freed).toBe(true);
    await freeing;
  });
});

describe('a changed file', () => {
  it('in a blob is noticed before it is served', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const manifest = await publish(bucket, 'original');
    const sha256 = manifest.files[0]?.sha256 ?? '';
    await chmod(join(folder, blobKey(sha256)), 0o644);
    await writeFile(join(folder, blobKey(sha256)), 'ORIGINAL'.padEnd(manifest.files[0]?.bytes ?? 0));
    await expect(bucket.materialize(manifest)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('damaged'),
    });
    expect(await readdir(join(folder, 'staging'))).toEqual([]);
  });

  it('in a folder already materialized is noticed at the next start', async () => {
    const bucket = openFolderBucket(newFolder());
    const manifest = await publish(bucket, 'original');
    const folder = await bucket.materialize(manifest);
    await chmod(join(folder, 'serving.onnx'), 0o644);
    await appendFile(join(folder, 'serving.onnx'), '!');
    await expect(bucket.materialize(manifest)).rejects.toMatchObject({ code: 'internal' });
  });

  it('is healed when the same content is published again', async () => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const first = await publish(bucket, 'original');
    for (const { sha256 } of first.files) {
      await rm(join(folder, blobKey(sha256)));
      await writeFile(join(folder, blobKey(sha256)), 'damaged');
    }
    await publish(bucket, 'original');
    const healed = await bucket.materialize(first);
    expect(await readFile(join(healed, 'serving.onnx'), 'utf8')).toBe('serving.onnx: original');
  });

  it('that is missing from a materialized folder is put back', async () => {
    const bucket = openFolderBucket(newFolder());
    const manifest = await publish(bucket, 'original');
    const folder = await bucket.materialize(manifest);
    await rm(join(folder, 'serving.onnx'));
    expect(await bucket.materialize(manifest)).toBe(folder);
    expect(existsSync(join(folder, 'serving.onnx'))).toBe(true);
  });

  it.each([
    ['not JSON', '{"schema": 1', 'not JSON'],
    ['a path that leaves the version', undefined, 'leaves the version'],
  ])('a manifest that is damaged (%s) is said to be so', async (_, text, message) => {
    const folder = newFolder();
    const bucket = openFolderBucket(folder);
    const manifest = await publish(bucket, 'original');
    const hostile = {
      ...manifest,
      files: [...manifest.files, { path: '../../../escaped', bytes: 1, sha256: 'a'.repeat(64) }],
    };
    const file = join(folder, 'manifests/tiny/v001.json');
    await rename(file, `${file}.away`);
    await writeFile(file, text ?? JSON.stringify(hostile));
    await expect(bucket.resolve('tiny')).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining(message),
    });
    // One damaged manifest does not stop others from being published.
    expect((await publish(bucket, 'next')).version).toBe('v002');
  });
});

/** A filesystem of its own with so much room, or undefined where mounting is not permitted. */
async function mountTiny(options: string): Promise<string | undefined> {
  const folder = newFolder();
  await mkdir(folder);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'slipway-test', folder]).status !== 0) return undefined;
  mounts.push(folder);
  return folder;
}

describe('a full disk', () => {
  it.for([
    ['no room for the manifest', 'size=512k', 480 * 1024],
    ['no room for one more name', 'size=4m,nr_inodes=14', 0],
  ] as const)('while publishing (%s) is said, and nothing is left', async ([, options, fill], context) => {
    const folder = await mountTiny(options);
    if (folder === undefined) return context.skip('mounting a tmpfs is not permitted here');
    const bucket = openFolderBucket(folder);
    const staging = await bucket.stage('tiny');
    await writeDraftFiles(staging, 'x'.repeat(100));
    const rest = join(staging.folder, 'rest.bin');
    await writeFile(rest, Buffer.alloc(fill));
    const filled = await appendFile(rest, Buffer.alloc(fill === 0 ? 0 : 1 << 20)).catch((error: Error) => error);
    if (fill > 0) expect(filled).toMatchObject({ code: 'ENOSPC' });
    await expect(staging.publish(draftManifest('tiny'))).rejects.toMatchObject({ code: 'disk_full' });
    expect(await bucket.models()).toEqual([]);
    expect(filesBelow(folder)).toEqual([]);
  });
});
