/**
 * What all commands over versions share: which bucket, how a version is named, and JSON for programs.
 */
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';

export interface CommonOptions {
  readonly bucket?: string;
  readonly json?: true;
}

export function bucketAddress({ bucket }: CommonOptions): string {
  return bucket ?? (process.env.BUCKET_URL || 'bucket');
}

export function bucketOf(options: CommonOptions): Bucket {
  return openBucket(bucketAddress(options));
}

/** NAME@v001 in its two parts, for what is done to one version and never to whatever an alias points at. */
export function exactVersion(reference: string): { name: string; version: string } {
  const [, name = '', version = ''] = /^([^@]+)@(v\d+)$/.exec(reference) ?? [];
  if (version !== '') return { name, version };
  throw new AppError('invalid_field', `${JSON.stringify(reference)} does not name one version; write NAME@v001`);
}

export function labelOf({ name, version }: Pick<Manifest, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

export function print(options: CommonOptions, json: unknown, text: () => string): void {
  console.log(options.json ? JSON.stringify(json) : text());
}
