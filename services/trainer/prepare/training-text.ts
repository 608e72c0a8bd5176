/**
 * The text that a tokenizer is learnt from: what the training files say, whatever their format, as one plain file. Knows no tokenizer.
 */
import { createWriteStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { type Example, parseExample } from '../data/canonical.ts';
import { type CollectedSide, collectSides } from '../data/collect/collect-sides.ts';
import { findTrained } from '../data/collect/find-files.ts';
import { Rejections } from '../data/collect/rejections.ts';

export interface TrainingTextRequest {
  readonly data: DataRecipe;
  readonly seed: number;
  readonly cacheFolder: string;
  /** Made for it; the caller removes it. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** Gives the file. AppError as prepareDataset throws it. */
export async function writeTrainingText({
  data,
  seed,
  cacheFolder,
  folder,
  signal,
}: TrainingTextRequest): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { sides } = await collectSides({
    train: (await findTrained(data.train, { cacheFolder, signal })).map((file) => ({ ...file, weight: 1 })),
    validation: [],
    share: 0,
    folder,
    rejections: new Rejections(null),
    options: { format: data.format, columns: data.columns, seed, signal },
    deduplicate: data.deduplicate,
    augment: null,
    mixed: data.mixed,
    onBytes: () => {},
  });
  const file = join(folder, 'text.txt');
  await pipeline(Readable.from(textsOf(sides.train)), createWriteStream(file), { signal });
  return file;
}

async function* textsOf(side: CollectedSide): AsyncGenerator<string> {
  for await (const { lines } of side.readBatches()) {
    for (const line of lines) yield textOf(parseExample(line));
  }
}

function textOf(example: Example): string {
  if ('text' in example) return example.continued ? example.text : `${example.text}\n`;
  if ('prompt' in example) return `${example.prompt}${example.completion}\n`;
  return example.messages
    .map(({ content }) => `${typeof content === 'string' ? content : JSON.stringify(content)}\n`)
    .join('');
}
