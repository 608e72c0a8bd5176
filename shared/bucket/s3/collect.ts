/**
 * Deletes what no manifest and no file set of an S3 bucket names, beside publishers that are at work; leases.ts says why they lose nothing.
 */

import { AppError } from '../../contracts/errors.ts';
import type { Collected, CollectOptions } from '../bucket.ts';
import type { Catalogue } from '../catalogue.ts';
import type { FileSetRecords } from '../file-sets.ts';
import { blobsOf, GRACE_MS, labelOf } from '../keys.ts';
import { S3Failure } from './failure.ts';
import { type LeaseTimes, leasedBlobs, removeOutdated, whileCollecting } from './leases.ts';
import type { ObjectStore, StoredObject } from './object-store.ts';

const DELETED_AT_ONCE = 1000;
/** Of uploads in parts that nobody goes on with; no upload takes so long. */
const STALE_UPLOAD_MS = 24 * 3_600_000;
const BLOBS = 'blobs/sha256/';

export async function collect(
  store: ObjectStore,
  catalogue: Catalogue,
  sets: FileSetRecords,
  times: LeaseTimes,
  { dryRun = false, graceMs = GRACE_MS, fileSets = [] }: CollectOptions = {},
): Promise<Collected> {
  for (const name of dryRun ? [] : fileSets) await sets.remove(name);
  const expired = (await catalogue.allRemoved()).filter(({ at }) => at.getTime() + graceMs <= Date.now());
  const gone = dryRun ? expired : await catalogue.forget(expired);
  const isGone = new Set(gone.map(labelOf));

  /** Of `blobs`, those that nobody relies on at this moment. Leases before manifests and sets: see leases.ts. */
  async function unreachable(blobs: readonly StoredObject[], now: Date): Promise<StoredObject[]> {
    const leased = await leasedBlobs(store, now, times);
    const manifests = (await catalogue.allManifests()).filter((manifest) => !isGone.has(labelOf(manifest)));
    const named = blobsOf([...manifests, ...(await sets.all(dryRun ? fileSets : []))]);
    return blobs.filter(({ key }) => !leased.has(hashOf(key)) && !named.has(hashOf(key)));
  }

  const blobs: StoredObject[] = [];
  for await (const blob of store.list(BLOBS)) if (/^[0-9a-f]{64}$/.test(hashOf(blob.key))) blobs.push(blob);
  const candidates = await unreachable(blobs, new Date());
  const freed = dryRun ? candidates : await deleteAll(candidates);
  if (!dryRun) await abortStaleUploads(store);
  return {
    versions: gone.map(labelOf),
    blobs: freed.length,
    bytes: freed.reduce((sum, { bytes }) => sum + bytes, 0),
  };

  async function deleteAll(chosen: readonly StoredObject[]): Promise<StoredObject[]> {
    const deleted: StoredObject[] = [];
    for (let from = 0; from < chosen.length; from += DELETED_AT_ONCE) {
      const batch = chosen.slice(from, from + DELETED_AT_ONCE);
      const hashes = batch.map(({ key }) => hashOf(key));
      await whileCollecting(store, hashes, times, async (now, mayDelete) => {
        const still = await unreachable(batch, now);
        // Out of time: the next collection finds them again.
        if (still.length === 0 || !mayDelete()) return;
        await store.remove(
          still.map(({ key }) => key),
          AbortSignal.timeout(times.deletingMs),
        );
        deleted.push(...still);
        await removeOutdated(store, now, times);
      });
    }
    return deleted;
  }
}

function hashOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

async function abortStaleUploads(store: ObjectStore): Promise<void> {
  const { Uploads } = await store
    .use(BLOBS, (client, sdk, { Bucket, Key }) =>
      client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: Key })),
    )
    .catch(unlessNotImplemented);
  for (const { Key, UploadId, Initiated } of Uploads ?? []) {
    if (Initiated === undefined || Date.now() - Initiated.getTime() < STALE_UPLOAD_MS) continue;
    await store.use(BLOBS, (client, sdk, { Bucket }) =>
      client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId })),
    );
  }
}

/** Some servers keep no list of them. */
function unlessNotImplemented(error: unknown): { Uploads?: undefined } {
  const status = error instanceof AppError && error.cause instanceof S3Failure ? error.cause.status : undefined;
  if (status !== 501 && status !== 404) throw error;
  return {};
}
