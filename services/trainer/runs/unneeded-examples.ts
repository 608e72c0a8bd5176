/**
 * Which training examples in a bucket nobody can come back to: no version that is there or can be restored names them, nor any run. Pure.
 */
import type { BucketContents } from '@slipway/shared/bucket/bucket.ts';
import { EXAMPLES_IN_BUCKET } from '@slipway/shared/contracts/manifest.ts';

export interface ExampleNames {
  /** sha256 of the examples that runs of this machine use. */
  readonly used: ReadonlySet<string>;
  /** Milliseconds since the epoch: what came later may belong to a version that is being published. */
  readonly before: number;
}

/** Names of their file sets. A run of another machine names its examples by what it keeps in the bucket itself. */
export function unneededExamples({ manifests, fileSets }: BucketContents, { used, before }: ExampleNames): string[] {
  const isExamples = (name: string) => name.startsWith(EXAMPLES_IN_BUCKET);
  const named = new Set([
    ...used,
    ...manifests.flatMap(({ lineage }) => (lineage?.examples ?? []).map(({ sha256 }) => sha256)),
    ...fileSets.flatMap(({ name, files }) => (isExamples(name) ? [] : files.map(({ sha256 }) => sha256))),
  ]);
  return fileSets
    .filter(({ name, created_at }) => isExamples(name) && Date.parse(created_at) <= before)
    .map(({ name }) => name)
    .filter((name) => !named.has(name.slice(EXAMPLES_IN_BUCKET.length)));
}
