/**
 * The S3 bucket on a real server: the conformance suite, and what only a store far away can suffer.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, it } from 'vitest';
import { bucketConformance } from './conformance.ts';
import { openS3Bucket } from './s3.ts';
import { startS3Server } from './testing/s3-server.ts';

const server = await startS3Server();
const scratch = await mkdtemp(join(tmpdir(), 'slipway-s3-test-'));
afterAll(async () => {
  if (typeof server !== 'string') await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

if (typeof server === 'string') {
  describe('a bucket on S3', () => it.skip(`is not tested: ${server}`));
} else {
  let prefixes = 0;
  bucketConformance('S3', async () => {
    const prefix = `test-${prefixes++}`;
    const environment = { ...process.env, SLIPWAY_CACHE_DIR: join(scratch, prefix) };
    return openS3Bucket(`s3://${server.bucket}/${prefix}?endpoint=${server.endpoint}`, { environment });
  });
}
