/**
 * An S3 bucket whose server or network fails at any one request: afterwards it is as it was or as it should be, never between, and
 * the next attempt succeeds.
 */
import { cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Bucket } from './bucket.ts';
import { blobKey } from './keys.ts';
import { openS3Bucket, type S3BucketOptions } from './s3.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';
import { FAULTS, type FaultProxy, startFaultProxy } from './testing/fault-proxy.ts';
import { startS3Server } from './testing/s3-server.ts';

const server = await startS3Server();
const scratch = await mkdtemp(join(tmpdir(), 'slipway-s3-faults-'));
const PART_BYTES = 5 * 2 ** 20;
/** Every request is sent once, so that each fault is felt. */
const OPTIONS: S3BucketOptions = {
  maxAttempts: 1,
  upload: { partBytes: PART_BYTES },
  download: { attempts: 1, stallMs: 300 },
  times: { leaseMs: 60_000, deletingMs: 200, pollMs: 10 },
};
let caches = 0;
let fetches = 0;

function open(endpoint: string, prefix: string, cache = `cache-${caches++}`): Bucket {
  const environment = { ...process.env, SLIPWAY_CACHE_DIR: join(scratch, cache) };
  return openS3Bucket(`s3://slipway/${prefix}?endpoint=${endpoint}`, { ...OPTIONS, environment });
}

/** The third file goes in parts. */
async function publish(bucket: Bucket, content: string, big = false) {
  const staging = await bucket.stage('tiny');
  await writeDraftFiles(staging, content);
  if (big) await writeFile(join(staging.folder, 'big.bin'), Buffer.alloc(PART_BYTES + 7, content));
  return staging.publish(draftManifest('tiny'));
}

/** All that can be seen of the model, where everything visible must be whole. */
async function look(bucket: Bucket, root: string) {
  const versions = await bucket.versions('tiny');
  for (const version of versions) {
    const manifest = await bucket.resolve(`tiny@${version}`);
    for (const { path, sha256, bytes } of manifest.files) {
      const found = await stat(join(root, blobKey(sha256))).catch(() => undefined);
      expect(found?.size, `${version}: ${path}`).toBe(bytes);
    }
  }
  const sets = await bucket.fileSets('');
  // Verified on the way.
  for (const name of sets) await bucket.fetchFiles(name, join(scratch, `look-${fetches++}`));
  const [aliases, removed] = [await bucket.aliases('tiny'), [...(await bucket.removed('tiny')).keys()]];
  return { versions, aliases, removed, sets };
}

/** Three files, the third in parts. */
async function putSet(bucket: Bucket, name: string) {
  const folder = join(scratch, name);
  await mkdir(folder, { recursive: true });
  for (const path of ['a', 'b']) await writeFile(join(folder, path), `${path} of ${name}`);
  await writeFile(join(folder, 'big.bin'), Buffer.alloc(PART_BYTES + 7, name));
  return bucket.putFiles(name, folder);
}

/** What is done, and which of its requests fail in their turn (default: all). */
interface Operation {
  readonly name: string;
  readonly operate: (bucket: Bucket) => Promise<unknown>;
  readonly chosen?: RegExp;
}
const OPERATIONS: readonly Operation[] = [
  { name: 'publish', operate: (bucket) => publish(bucket, 'new') },
  { name: 'publish in parts', operate: (bucket) => publish(bucket, 'new', true), chosen: /uploads|uploadId/ },
  { name: 'set', operate: (bucket) => bucket.setAlias('tiny', 'champion', 'v002', { expected: 'v001' }) },
  { name: 'rollback', operate: (bucket) => bucket.rollback('tiny', 'canary', { expected: 'v003' }) },
  { name: 'remove', operate: (bucket) => bucket.remove('tiny', 'v002') },
  { name: 'restore', operate: (bucket) => bucket.restore('tiny', 'v004') },
  { name: 'collect', operate: (bucket) => bucket.collect({ graceMs: 0 }) },
  { name: 'materialize', operate: async (bucket) => bucket.materialize(await bucket.resolve('tiny@v001')) },
  {
    name: 'read',
    operate: async (bucket) => (await bucket.read(await bucket.resolve('tiny@v001'), 'serving.onnx')).toArray(),
  },
  { name: 'put a set', operate: (bucket) => putSet(bucket, 'data/new') },
  { name: 'fetch a set', operate: (bucket) => bucket.fetchFiles('data/old', join(scratch, `fetched-${fetches++}`)) },
  { name: 'remove a set', operate: (bucket) => bucket.removeFiles('data/old') },
];
/** What an operation that is done says when it is done again. */
const DONE: Readonly<Record<string, string>> = { rollback: 'conflict', remove: 'not_found' };

if (typeof server === 'string') {
  describe('faults of S3', () => it.skip(`are not tested: ${server}`));
} else {
  const { endpoint, root } = server;
  const folderOf = (prefix: string) => join(root, 'slipway', prefix);
  let proxy: FaultProxy;

  beforeAll(async () => {
    proxy = await startFaultProxy(endpoint);
    const bucket = open(endpoint, 'base');
    for (const content of ['one', 'two', 'three', 'four']) await publish(bucket, content);
    await bucket.setAlias('tiny', 'champion', 'v001');
    await bucket.setAlias('tiny', 'canary', 'v002');
    await bucket.setAlias('tiny', 'canary', 'v003');
    await bucket.remove('tiny', 'v004');
    await putSet(bucket, 'data/old');
  });

  afterAll(async () => {
    await proxy.stop();
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  it.for(OPERATIONS.flatMap((operation) => FAULTS.map((fault) => ({ ...operation, fault }))))(
    'is as it was or as it should be after $name met $fault at any request',
    async ({ name, operate, chosen, fault }) => {
      const before = await look(open(endpoint, 'base'), folderOf('base'));
      let felt = 0;
      for (let target = 0; ; target++) {
        const prefix = `${name}-${fault}-${target}`.replaceAll(' ', '-');
        await cp(folderOf('base'), folderOf(prefix), { recursive: true });
        const direct = open(endpoint, prefix);
        let left = target;
        proxy.before = ({ url }) => ((chosen?.test(url) ?? true) && left-- === 0 ? fault : undefined);
        const cache = `cache-${caches++}`;
        const error = await failureOf(operate(open(proxy.endpoint, prefix, cache)));
        proxy.before = () => undefined;
        if (error !== undefined) {
          felt++;
          expect(error, `request ${target}`).toMatchObject({ name: 'AppError', code: 'bucket_unavailable' });
        }
        const between = await look(direct, folderOf(prefix));
        // Somebody does it again, in a process of their own.
        const second = await failureOf(operate(open(endpoint, prefix, cache)));
        const after = await look(direct, folderOf(prefix));
        expect([before, after], `request ${target}`).toContainEqual(between);
        if (second !== undefined) {
          expect(second, `request ${target}`).toMatchObject({ code: DONE[name] });
          expect(between).toEqual(after);
        }
        if (left >= 0) break;
      }
      expect(felt).toBeGreaterThan(0);
    },
  );
}

function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
