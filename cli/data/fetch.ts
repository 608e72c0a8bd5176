/**
 * `slipway data fetch`: the examples that a version was trained on, out of the bucket.
 */
import { dirname, join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { examplesInBucket } from '@slipway/shared/contracts/manifest.ts';
import { humanBytes } from '../human-units.ts';
import { bucketOf, type CommonOptions, labelOf, print } from '../models/bucket-option.ts';

export async function fetchData(reference: string, folder: string, options: CommonOptions): Promise<void> {
  const bucket = bucketOf(options);
  const manifest = await bucket.resolve(reference);
  const { examples } = manifest.lineage ?? {};
  if (examples === undefined) {
    throw new AppError('not_found', `${labelOf(manifest)} does not say what examples it was trained on.`);
  }
  const kept = new Set(await bucket.fileSets('data/'));
  const missing = examples.find(({ sha256 }) => !kept.has(examplesInBucket(sha256)));
  if (missing !== undefined) {
    throw new AppError(
      'not_found',
      `${missing.name} of ${labelOf(manifest)} (${missing.sha256}) is not kept in ${bucket.location}: its recipe did not want it (publish.data_gib), or it was removed.`,
    );
  }
  const fetched = examples.map(({ name, bytes, sha256 }) => ({ path: join(folder, name), bytes, sha256 }));
  for (const { path, sha256 } of fetched) await bucket.fetchFiles(examplesInBucket(sha256), dirname(path));
  print(options, { version: labelOf(manifest), files: fetched }, () =>
    fetched.map(({ path, bytes }) => `${path}  ${humanBytes(bytes)}, verified`).join('\n'),
  );
}
