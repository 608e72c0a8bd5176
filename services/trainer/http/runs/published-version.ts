/**
 * The version that a run has published, to be asked for a caller: exactly one, so that a name that is moved meanwhile moves nothing here.
 */
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { VersionToAsk } from '../../evaluation/evaluate.ts';
import type { ServeVersion } from '../../evaluation/serve-version.ts';
import type { RunRecord } from '../../runs/run-record.ts';

export interface PublishedVersion {
  readonly version: VersionToAsk;
  readonly serve: ServeVersion;
}

/** The first of several. AppError not_implemented where versions cannot be asked, conflict when there is none yet, not_found when it is gone. */
export async function publishedVersion(run: RunRecord, serve: ServeVersion | undefined): Promise<PublishedVersion> {
  if (serve === undefined) {
    throw new AppError('not_implemented', 'versions cannot be asked here: start the service with slipway trainer');
  }
  const [published] = run.published;
  if (published === undefined) {
    throw new AppError('conflict', `${run.id} is ${run.state} and has published no version to ask`);
  }
  return { version: await versionToAsk(run.bucket, published), serve };
}

/** AppError not_found. */
export async function versionToAsk(bucketUrl: string, reference: string): Promise<VersionToAsk> {
  const manifest = await openBucket(bucketUrl).resolve(reference);
  return { name: `${manifest.name}@${manifest.version}`, manifest };
}
