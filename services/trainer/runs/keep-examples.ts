/**
 * The examples that a model was trained on, as their canonical JSON Lines, in the bucket by their sha256: the same data is kept once,
 * whichever runs used it, and a version's lineage names it.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { errorCode, linkOrCopy, sha256Of } from '@slipway/shared/bucket/durable-files.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { examplesInBucket, type Lineage } from '@slipway/shared/contracts/manifest.ts';
import { DATASET_FILE, Dataset } from '../data/dataset-file.ts';
import type { RunFolder } from './run-folder.ts';
import { PreparedJob } from './stages.ts';

const EXAMPLES = 'examples.jsonl';

type Examples = NonNullable<Lineage['examples']>;

/** What they are, whether they are kept or not. */
export async function describeExamples({ train, validation }: PreparedJob['data']): Promise<Examples> {
  const examples: Examples = [];
  for (const [side, folder] of [['train', train] as const, ['validation', validation] as const]) {
    if (folder === null) continue;
    const dataset = Dataset.parse(JSON.parse(await readFile(join(folder, DATASET_FILE), 'utf8')));
    const sha256 = dataset.sha256[EXAMPLES];
    if (sha256 === undefined) throw new Error(`${folder}/${DATASET_FILE} does not name ${EXAMPLES}`);
    examples.push({ name: `${side}/${EXAMPLES}`, bytes: (await stat(join(folder, EXAMPLES))).size, sha256 });
  }
  return examples;
}

/** sha256 of those that a run has prepared; none before that. */
export async function examplesOf({ prepared }: RunFolder): Promise<string[]> {
  try {
    const { data } = PreparedJob.parse(JSON.parse(await readFile(prepared, 'utf8')));
    return (await describeExamples(data)).map(({ sha256 }) => sha256);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Nothing is kept of more than `limitBytes` in all. `scratch` is a folder that may be made and removed. AppError, and what a bucket throws. */
export async function keepExamples(
  bucket: Bucket,
  data: PreparedJob['data'],
  examples: Examples,
  limitBytes: number,
  scratch: string,
): Promise<void> {
  if (examples.reduce((sum, { bytes }) => sum + bytes, 0) > limitBytes) return;
  const kept = new Set(await bucket.fileSets('data/'));
  for (const { name, sha256 } of examples) {
    if (kept.has(examplesInBucket(sha256))) continue;
    const file = join((name.startsWith('train/') ? data.train : data.validation) ?? '', EXAMPLES);
    const found = await sha256Of(file);
    if (found !== sha256)
      throw new AppError('invalid_source', `${file} has changed since it was prepared; it is not kept.`);
    await rm(scratch, { recursive: true, force: true });
    await mkdir(scratch, { recursive: true });
    await linkOrCopy(file, join(scratch, EXAMPLES));
    await bucket.putFiles(examplesInBucket(sha256), scratch, new Map([[EXAMPLES, sha256]]));
    await rm(scratch, { recursive: true });
  }
}
