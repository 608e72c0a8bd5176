/**
 * `slipway models export`: a version's files out of the bucket.
 */
import { exportVersion } from '@slipway/shared/bucket/export-version.ts';
import { humanBytes } from '../human-units.ts';
import { interruptible } from '../interruptible.ts';
import { createProgress } from '../progress-bar.ts';
import { bucketOf, type CommonOptions, labelOf, print } from './bucket-option.ts';

export async function exportTo(reference: string, target: string, options: CommonOptions): Promise<void> {
  const bucket = bucketOf(options);
  const manifest = await bucket.resolve(reference);
  const progress = createProgress(options.json ?? false);
  try {
    const bytes = await interruptible('nothing was exported', (signal) =>
      exportVersion(bucket, manifest, target, {
        signal,
        onProgress: (done, totalBytes, files) =>
          progress.update('copying', totalBytes === 0 ? 1 : done / totalBytes, {
            bytes: done,
            totalBytes,
            files,
            totalFiles: manifest.files.length,
          }),
      }),
    );
    progress.end();
    const { name, version, files } = manifest;
    print(
      options,
      { name, version, target, files: files.length, bytes },
      () => `${labelOf(manifest)} -> ${target}: ${files.length} files, ${humanBytes(bytes)}, verified`,
    );
  } finally {
    progress.end();
  }
}
