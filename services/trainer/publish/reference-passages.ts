/**
 * Passages of prepared data to hold a trained model to: the beginnings of a few of its examples. Reads tokens.bin; knows no model.
 */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DATASET_FILE, Dataset } from '../data/dataset-file.ts';

/** Enough to tell one model from another; their logits stay below some tens of MB for any vocabulary. */
const PASSAGES = 4;
const LONGEST = 96;

/** Token ids, each at least two. `folder`: a prepared dataset. */
export async function referencePassages(folder: string, contextLength: number): Promise<number[][]> {
  const { dtype, tokens, examples } = Dataset.parse(JSON.parse(await readFile(join(folder, DATASET_FILE), 'utf8')));
  const offsets = await open(join(folder, 'offsets.bin'));
  const ids = await open(join(folder, 'tokens.bin'));
  const width = dtype === 'uint16' ? 2 : 4;
  const passages: number[][] = [];
  try {
    for (let index = 0; index < PASSAGES; index++) {
      // Spread over the whole: a stream of few documents has passages inside them too.
      const example = Math.floor((index * examples) / PASSAGES);
      const { buffer } = await offsets.read(Buffer.alloc(16), 0, 16, example * 8);
      const begin = Number(buffer.readBigUInt64LE(0));
      const end = Number(buffer.readBigUInt64LE(8));
      const from = examples >= PASSAGES ? begin : Math.floor((index * tokens) / PASSAGES);
      const until = Math.min(examples >= PASSAGES ? end : tokens, from + Math.min(LONGEST, contextLength));
      const count = until - from;
      if (count < 2) continue;
      const { buffer: bytes } = await ids.read(Buffer.alloc(count * width), 0, count * width, from * width);
      passages.push(
        Array.from({ length: count }, (_, at) =>
          width === 2 ? bytes.readUInt16LE(at * 2) : bytes.readUInt32LE(at * 4),
        ),
      );
    }
  } finally {
    await Promise.all([offsets.close(), ids.close()]);
  }
  return passages;
}
