/**
 * How fast a version comes from S3, verified, beside a plain GET of the same bytes from the same server into a file: [MIB] [ROUNDS].
 * Both in turn, each into a new place; prints the medians as JSON. Needs what the tests on S3 need.
 */
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { blobKey } from '../keys.ts';
import { parseS3Address } from '../s3/address.ts';
import { openObjectStore } from '../s3/object-store.ts';
import { openS3Bucket } from '../s3.ts';
import { draftManifest, writeDraftFiles } from './draft.ts';
import { startS3Server } from './s3-server.ts';

const [mib = 256, rounds = 5] = process.argv.slice(2).map(Number);
const server = await startS3Server();
if (typeof server === 'string') throw new Error(server);
const scratch = await mkdtemp(join(tmpdir(), 'slipway-speed-'));
const address = `s3://${server.bucket}/speed?endpoint=${server.endpoint}`;
const openWith = (cache: string) =>
  openS3Bucket(address, { environment: { ...process.env, SLIPWAY_CACHE_DIR: join(scratch, cache) } });

try {
  const staging = await openWith('publisher').stage('large');
  await writeDraftFiles(staging, 'small');
  const large = await open(join(staging.folder, 'large.bin'), 'w');
  for (let written = 0; written < mib; written++) await large.write(randomBytes(2 ** 20));
  await large.close();
  const manifest = await staging.publish(draftManifest('large'));
  const file = manifest.files.find(({ path }) => path === 'large.bin');
  if (!file) throw new Error('it was not published');
  const store = openObjectStore(parseS3Address(address, process.env));

  const plain: number[] = [];
  const verified: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const target = join(scratch, 'plain.bin');
    plain.push(
      await secondsOf(async () =>
        pipeline(await store.bytes(blobKey(file.sha256), 0, file.bytes), createWriteStream(target)),
      ),
    );
    await rm(target);
    verified.push(await secondsOf(() => openWith(`cache-${round}`).materialize(manifest)));
    await rm(join(scratch, `cache-${round}`), { recursive: true });
  }
  const speed = (seconds: number[]) => Math.round(mib / median(seconds));
  const result = {
    plain_mib_per_s: speed(plain),
    verified_mib_per_s: speed(verified),
    share: median(plain) / median(verified),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}
