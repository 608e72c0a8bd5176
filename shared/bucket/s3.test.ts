/**
 * The S3 bucket on a real server: the conformance suite, and what only a store far away can suffer.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { bucketConformance } from './conformance.ts';
import { blobKey } from './keys.ts';
import { parseS3Address } from './s3/address.ts';
import { openObjectStore } from './s3/object-store.ts';
import { s3Records } from './s3/records.ts';
import { openS3Bucket } from './s3.ts';
import { draftManifest, writeDraftFiles } from './testing/draft.ts';
import { startFaultProxy } from './testing/fault-proxy.ts';
import { startS3Server } from './testing/s3-server.ts';

const server = await startS3Server();
const scratch = await mkdtemp(join(tmpdir(), 'slipway-s3-test-'));
afterAll(async () => {
  if (typeof server !== 'string') await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

const environment = (more: Record<string, string> = {}) => ({
  ...process.env,
  SLIPWAY_CACHE_DIR: join(scratch, `cache-${caches++}`),
  ...more,
});
let caches = 0;

describe('an address on S3', () => {
  it('costs nothing until something is asked: the client is not loaded', () => {
    const script = `
      import { createRequire } from 'node:module';
      import { openBucket } from ${JSON.stringify(join(import.meta.dirname, 'open-bucket.ts'))};
      openBucket('s3://models/here');
      console.log(Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('aws-sdk')).length);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['0\n', '']);
  });

  it('of a server that ignores conditional writes is refused before anything is entrusted to it', async () => {
    const careless = createServer((request, response) => {
      request.resume().once('end', () => response.writeHead(request.method === 'HEAD' ? 404 : 200).end('<a/>'));
    });
    await new Promise<void>((resolve) => careless.listen(0, '127.0.0.1', resolve));
    const address = careless.address();
    const port = typeof address === 'object' ? address?.port : 0;
    process.env.AWS_ACCESS_KEY_ID ||= 'somebody';
    process.env.AWS_SECRET_ACCESS_KEY ||= 'something';
    const records = s3Records(openObjectStore(parseS3Address(`s3://models?endpoint=http://127.0.0.1:${port}`, {})));
    await expect(records.create('manifests/tiny/v001.json', '{}')).rejects.toMatchObject({
      code: 'unsupported_source',
      message: expect.stringContaining('If-None-Match'),
    });
    careless.closeAllConnections();
    careless.close();
  });
});

if (typeof server === 'string') {
  describe('a bucket on S3', () => it.skip(`is not tested: ${server}`));
} else {
  let prefixes = 0;
  const addressOf = (prefix: string, bucket = server.bucket) => `s3://${bucket}/${prefix}?endpoint=${server.endpoint}`;
  bucketConformance('S3', async () => openS3Bucket(addressOf(`test-${prefixes++}`), { environment: environment() }));

  describe('an S3 server', () => {
    it('that refuses the credentials is said to do so, without them', async () => {
      const key = process.env.AWS_SECRET_ACCESS_KEY;
      process.env.AWS_SECRET_ACCESS_KEY = 'a-secret-that-is-wrong';
      const bucket = openS3Bucket(addressOf('refused'), { environment: environment() });
      const error: unknown = await bucket.models().catch((thrown: unknown) => thrown);
      process.env.AWS_SECRET_ACCESS_KEY = key;
      expect(error).toMatchObject({ code: 'unauthorized', message: expect.stringContaining('Check the credentials') });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/a-secret-that-is-wrong|slipway-test/);
    });

    it('that has no such bucket is said to have none', async () => {
      const bucket = openS3Bucket(addressOf('x', 'not-here'), { environment: environment() });
      await expect(bucket.models()).rejects.toMatchObject({
        code: 'not_found',
        message: expect.stringContaining('There is no S3 bucket not-here'),
      });
    });

    it('that is not there is said not to answer', async () => {
      const bucket = openS3Bucket('s3://models?endpoint=http://127.0.0.1:9', {
        environment: environment(),
        maxAttempts: 1,
      });
      await expect(bucket.models()).rejects.toMatchObject({
        code: 'bucket_unavailable',
        message: expect.stringContaining('ECONNREFUSED'),
      });
    });

    it('that stalls in the middle is asked again', async () => {
      const bucket = openS3Bucket(addressOf('stalling'), { environment: environment() });
      const staging = await bucket.stage('tiny');
      await writeDraftFiles(staging, 'x'.repeat(100_000));
      const manifest = await staging.publish(draftManifest('tiny'));
      const proxy = await startFaultProxy(server.endpoint);
      let stalls = 0;
      proxy.before = ({ url }) => (url.includes('/blobs/') && stalls++ === 0 ? 'stall' : undefined);
      const slow = openS3Bucket(`s3://${server.bucket}/stalling?endpoint=${proxy.endpoint}`, {
        environment: environment(),
        download: { stallMs: 200 },
      });
      const folder = await slow.materialize(manifest);
      expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toContain('x'.repeat(100_000));
      expect(stalls).toBe(4);
      await proxy.stop();
    });

    it('whose file was changed does not get it served', async () => {
      const bucket = openS3Bucket(addressOf('changed'), { environment: environment() });
      const staging = await bucket.stage('tiny');
      await writeDraftFiles(staging, 'right');
      const manifest = await staging.publish(draftManifest('tiny'));
      const file = join(server.root, server.bucket, 'changed', blobKey(manifest.files[0]?.sha256 ?? ''));
      await writeFile(file, 'x'.repeat(manifest.files[0]?.bytes ?? 0));
      const other = openS3Bucket(addressOf('changed'), { environment: environment() });
      await expect(other.materialize(manifest)).rejects.toMatchObject({
        code: 'internal',
        message: expect.stringContaining('is damaged'),
      });
      const stream = await other.read(manifest, manifest.files[0]?.path ?? '');
      await expect(stream.toArray()).rejects.toMatchObject({ code: 'internal' });
    });
  });
}
