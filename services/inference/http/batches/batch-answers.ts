/**
 * Where the answers of a batch lie while it is worked on: a file of each claim's own, begun with what the claim before it had. Who has lost the
 * claim writes into a file that nobody reads any more. Knows nothing of what an answer says.
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tellFullDisk } from '@slipway/shared/contracts/full-disk.ts';

/** Of a claim, by its token; made or taken over. AppError disk_full. */
export async function takeOverAnswers(folder: string, batchId: string, token: number): Promise<string> {
  await mkdir(folder, { recursive: true });
  const earlier = await earlierAnswers(folder, batchId, token);
  const own = join(folder, nameOf(batchId, token));
  const newest = earlier.at(-1);
  if (newest !== undefined) {
    const copy = `${own}.copy`;
    // Where the filesystem can, both share what they have in common.
    await tellFullDisk(own, 'free some space: the batch goes on by itself', () =>
      copyFile(newest, copy, constants.COPYFILE_FICLONE),
    );
    await rename(copy, own);
  }
  for (const file of earlier) await rm(file, { force: true });
  return own;
}

/** Of a batch that has ended, by whomever. */
export async function removeAnswers(folder: string, batchId: string): Promise<void> {
  for (const file of await namesOf(folder)) {
    if (file.startsWith(`${batchId}.`)) await rm(join(folder, file), { force: true });
  }
}

/** The batches that something is there of. */
export async function batchesWithAnswers(folder: string): Promise<ReadonlySet<string>> {
  return new Set((await namesOf(folder)).map((file) => file.split('.')[0] ?? ''));
}

/** The oldest claim first. */
async function earlierAnswers(folder: string, batchId: string, token: number): Promise<string[]> {
  const tokens = (await namesOf(folder)).flatMap((file) => {
    const [id, text = '', ending, ...more] = file.split('.');
    return id === batchId && ending === 'jsonl' && more.length === 0 ? [Number(text)] : [];
  });
  return tokens
    .filter((one) => one < token)
    .sort((a, b) => a - b)
    .map((one) => join(folder, nameOf(batchId, one)));
}

function nameOf(batchId: string, token: number): string {
  return `${batchId}.${token}.jsonl`;
}

async function namesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
