/**
 * Which version of which bucket is to be served. Knows the default places; not what a version contains.
 */
import { fileURLToPath } from 'node:url';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';

export interface FoundVersion {
  readonly bucket: Bucket;
  readonly manifest: Manifest;
}

/** Comes with the repository, so that a fresh clone answers. */
export const BUNDLED_BUCKET = fileURLToPath(new URL('../../../models', import.meta.url));

/** The bucket that was asked for, or else the working directory's and then the bundled one. */
export function bucketsFor(bucketUrl: string | null): Bucket[] {
  return (bucketUrl === null ? ['bucket', BUNDLED_BUCKET] : [bucketUrl]).map(openBucket);
}

/** The first bucket that has it wins. Without a model: the first model of the first bucket that has any. AppError not_found. */
export async function findVersion(buckets: readonly Bucket[], model: string | null): Promise<FoundVersion> {
  return model === null ? findFirst(buckets) : findNamed(buckets, model);
}

async function findFirst(buckets: readonly Bucket[]): Promise<FoundVersion> {
  for (const bucket of buckets) {
    const [name] = await bucket.models();
    if (name !== undefined) return { bucket, manifest: await bucket.resolve(name) };
  }
  throw new AppError(
    'not_found',
    `there is no model in ${locations(buckets)}; make one with slipway convert SOURCE --name NAME`,
  );
}

async function findNamed(buckets: readonly Bucket[], model: string): Promise<FoundVersion> {
  const reference = withoutOwner(model);
  const [name = ''] = reference.split('@');
  let otherVersions: AppError | undefined;
  for (const bucket of buckets) {
    try {
      return { bucket, manifest: await bucket.resolve(reference) };
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
      if ((await bucket.models()).includes(name)) otherVersions ??= error;
    }
  }
  if (otherVersions !== undefined) throw otherVersions;
  const known = (await Promise.all(buckets.map((bucket) => bucket.models()))).flat();
  const there = known.length === 0 ? 'there is none' : `there is ${[...new Set(known)].join(', ')}`;
  throw new AppError('not_found', `model ${JSON.stringify(model)} is not in ${locations(buckets)}; ${there}`);
}

/** A hub's name has its owner in front; the bucket's has not. */
export function withoutOwner(model: string): string {
  return model.slice(model.lastIndexOf('/') + 1);
}

/** The name to follow, of what was asked for: NAME, NAME@champion, or nothing. Undefined when it is one version for good. */
export function followedReference(model: string | null, found: { readonly name: string }): string | undefined {
  if (model === null) return found.name;
  const reference = withoutOwner(model);
  return /@v\d+$/.test(reference) ? undefined : reference;
}

function locations(buckets: readonly Bucket[]): string {
  return buckets.map((bucket) => bucket.location).join(' or ');
}
