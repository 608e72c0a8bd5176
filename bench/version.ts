/**
 * A version of the bucket as the benchmarks use it: its manifest, its folder, its tokenizer. Knows no figure.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Tokenizer } from '@slipway/shared/text/contract.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';

/** The command hands its bucket to the contestants' processes in BUCKET_URL. */
export async function openVersion(reference: string): Promise<{ manifest: Manifest; folder: string }> {
  const bucket = openBucket(process.env.BUCKET_URL ?? 'bucket');
  const manifest = await bucket.resolve(reference);
  return { manifest, folder: await bucket.materialize(manifest) };
}

export async function tokenizerOf({ manifest, folder }: { manifest: Manifest; folder: string }): Promise<Tokenizer> {
  const file = join(folder, manifest.text.tokenizer);
  const readJson = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));
  return loadTokenizer(await readJson(file), await readJson(join(dirname(file), 'tokenizer_config.json')));
}
