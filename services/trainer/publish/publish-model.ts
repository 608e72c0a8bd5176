/**
 * A trained model's folder as versions in the bucket: converted, proven against its source and its trainer, published once for each run
 * and precision, however often it is begun again. Knows no run folder.
 */
import { type ConvertPhase, convert, type TrainedReference } from '@slipway/converter/convert';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { Lineage, Manifest, Precision } from '@slipway/shared/contracts/manifest.ts';

export interface PublishRequest {
  readonly model: string;
  readonly name: string;
  readonly description: string | null;
  readonly precisions: readonly Precision[];
  readonly alias: string | null;
  readonly bucketUrl: string;
  /** Names the run: a version of it that is there already is not made again. */
  readonly lineage: Lineage & { readonly run: string };
  readonly trained: TrainedReference;
  readonly signal: AbortSignal;
  readonly onProgress: (precision: Precision, phase: ConvertPhase, part: number) => void;
  readonly onPublished: (manifest: Manifest) => Promise<void>;
}

/** AppError parity_failed and what else a conversion throws. */
export async function publishModel(request: PublishRequest): Promise<void> {
  const { name, precisions, alias, bucketUrl, lineage, signal, onProgress, onPublished } = request;
  const bucket = openBucket(bucketUrl);
  let last: Manifest | undefined;
  for (const precision of precisions) {
    signal.throwIfAborted();
    last =
      (await publishedBefore(request, precision)) ??
      (
        await convert({
          source: request.model,
          name,
          precision,
          bucketUrl,
          allowDrift: false,
          // Where it lies says nothing to those who have the version; which run made it does.
          sourceLabel: lineage.run,
          ...(request.description === null ? {} : { description: request.description }),
          lineage,
          trained: request.trained,
          onProgress: (phase, part) => {
            signal.throwIfAborted();
            onProgress(precision, phase, part);
          },
        })
      ).manifest;
    await onPublished(last);
  }
  if (alias !== null && last !== undefined) await moveOnce(bucket, name, alias, last.version);
}

/** A worker that was killed may have moved it; whoever has moved it on since, or back, meant that. */
async function moveOnce(bucket: Bucket, name: string, alias: string, version: string): Promise<void> {
  const changes = await bucket.changes(name);
  const isDone = changes.some(
    (change) => change.kind === 'set' && change.alias === alias && change.version === version,
  );
  if (!isDone) await bucket.setAlias(name, alias, version);
}

/** A worker that was killed may have published without writing it down. */
async function publishedBefore(
  { name, bucketUrl, lineage }: PublishRequest,
  precision: Precision,
): Promise<Manifest | undefined> {
  const bucket = openBucket(bucketUrl);
  for (const version of (await bucket.versions(name)).toReversed()) {
    const manifest = await bucket.resolve(`${name}@${version}`);
    if (manifest.lineage?.run === lineage.run && manifest.precision === precision) return manifest;
  }
  return undefined;
}
