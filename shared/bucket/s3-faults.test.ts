/**
 * An S3 bucket whose server or network fails at any one request: afterwards it is as it was or as it should be, never between, and
 * the next attempt succeeds.
 */
import { cp, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError } from '../contracts/errors.ts';
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
  const [aliases, removed] = [await bucket.aliases('tiny'), [...(await bucket.removed('tiny')).keys()]];
  return { versions, aliases, removed };
}

const OPERATIONS: readonly [string, (bucket: Bucket) => Promise<unknown>][] = [
  ['publish', (bucket) => publish(bucket, 'new', true)],
  ['setAlias', (bucket) => bucket.setAlias('tiny', 'champion', 'v002', { expected: 'v001' })],
  ['rollback', (bucket) => bucket.rollback('tiny', 'canary', { expected: 'v003' })],
  ['remove', (bucket) => bucket.remove('tiny', 'v002')],
  ['restore', (bucket) => bucket.restore('tiny', 'v004')],
  ['collect', (bucket) => bucket.collect({ graceMs: 0 })],
  ['materialize', async (bucket) => bucket.materialize(await bucket.resolve('tiny@v001'))],
  ['read', async (bucket) => (await bucket.read(await bucket.resolve('tiny@v001'), 'big.bin')).toArray()],
];

if (typeof server === 'string') {
  describe('faults of S3', () => it.skip(`are not tested: ${server}`));
} else {
  const { endpoint, root } = server;
  const folderOf = (prefix: string) => join(root, 'slipway', prefix);
  let proxy: FaultProxy;

  beforeAll(async () => {
    proxy = await startFaultProxy(endpoint);
    const bucket = open(endpoint, 'base');
    for (const content of ['one', 'two', 'three', 'four']) await publish(bucket, content, content === 'one');
    await bucket.setAlias('tiny', 'champion', 'v001');
    await bucket.setAlias('tiny', 'canary', 'v002');
    await bucket.setAlias('tiny', 'canary', 'v003');
    await bucket.remove('tiny', 'v004');
  });

  afterAll(async () => {
    await proxy.stop();
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  describe.each(OPERATIONS)('%s', (name, operation) => {
    it.each(FAULTS)('survives %s at each of its requests', async (fault) => {
      let felt = 0;
      for (let target = 0; ; target++) {
        const prefix = `${name}-${fault}-${target}`;
        await cp(folderOf('base'), folderOf(prefix), { recursive: true });
        const direct = open(endpoint, prefix);
        const before = await look(direct, folderOf(prefix));
        proxy.restart();
        let reached = false;
        proxy.before = ({ number }) => {
          if (number !== target) return undefined;
          reached = true;
          return fault;
        };
        const cache = `cache-${caches++}`;
        const error: unknown = await operation(open(proxy.endpoint, prefix, cache)).then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        proxy.before = () => undefined;
        if (error !== undefined) {
          felt++;
          expect(error, `request ${target}`).toBeInstanceOf(AppError);
          expect(error, `request ${target}`).toMatchObject({ code: 'bucket_unavailable' });
        }
        const between = await look(direct, folderOf(prefix));
        // A process of its own does it again; that it is done already is no failure either, but what it then says differs.
        const again = open(proxy.endpoint, prefix, cache);
        if (name === 'rollback' && error !== undefined && between.aliases.get('canary') === 'v002') {
          await expect(operation(again)).rejects.toMatchObject({ code: 'conflict' });
        } else if (name === 'remove' && error !== undefined && between.removed.includes('v002')) {
          await expect(operation(again)).rejects.toMatchObject({ code: 'not_found' });
        } else {
          if (error !== undefined || name !== 'rollback') await operation(again).catch(unlessDone(error));
        }
        const after = await look(direct, folderOf(prefix));
        expect([before, after], `request ${target}: between`).toContainEqual(between);
        if (!reached) break;
      }
      expect(felt).toBeGreaterThan(0);
    });
  });
}

/** What has succeeded already may refuse to be done again. */
function unlessDone(first: unknown) {
  return (error: unknown) => {
    if (first !== undefined) throw error;
  };
}
