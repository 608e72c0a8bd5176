/**
 * A bucket with several versions of one small real model, whose answers tell them apart: stories260K, its weights a little changed.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { onTestFinished } from 'vitest';

export const NAME = 'story';
const STORIES = join(import.meta.dirname, '../../fixtures/stories260K');

/** An empty bucket, removed when the test ends. */
export function emptyBucket(): Bucket {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-versions-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return openFolderBucket(folder);
}

/** `scale`: by what the weights of the first layers are multiplied. `spoil`: the serving graph is no graph. Gives the version. */
export async function publishVariant(bucket: Bucket, scale: number, spoil = false, as = NAME): Promise<string> {
  const stories = openFolderBucket(STORIES);
  const manifest = await stories.resolve('stories260K');
  const { version: _version, created_at: _createdAt, files: _files, ...draft } = manifest;
  const staging = await bucket.stage(as);
  cpSync(await stories.materialize(manifest), staging.folder, { recursive: true, dereference: true });
  const path = join(staging.folder, manifest.weights);
  const bytes = await readFile(path);
  const weights = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  for (let index = 0; index < 100_000; index++) weights[index] = (weights[index] ?? 0) * scale;
  // Copies of read-only files: replaced, not written into.
  const replace = async (file: string, content: Uint8Array | string) => {
    rmSync(file);
    await writeFile(file, content);
  };
  await replace(path, bytes);
  if (spoil) await replace(join(staging.folder, manifest.graphs.serving.path), 'no graph');
  return (await staging.publish({ ...draft, name: as })).version;
}
