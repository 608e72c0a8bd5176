/**
 * `slipway tokenizer train`: text files to a tokenizer's folder, by the trainer's kernel.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { kernelCommand } from '@slipway/trainer/kernel-command';
import type { TokenizerKind } from '@slipway/trainer/tokenizer-statistics';
import { trainTokenizer } from '@slipway/trainer/train-tokenizer';
import { writeTrainingText } from '@slipway/trainer/training-text';
import { interruptible } from '../interruptible.ts';
import { print } from '../models/bucket-option.ts';
import { requirePython } from '../require-python.ts';
import { textTable } from '../text-table.ts';
import { statisticsRows } from './statistics-rows.ts';

/** Files of records: of them it is what they say that is learnt, not the JSON or the commas around it. */
const IS_RECORDS = /\.(json|jsonl|ndjson|csv|tsv|parquet)(\.gz)?$/i;

interface TrainOptions {
  readonly kind: TokenizerKind;
  readonly vocabularySize?: number;
  readonly out: string;
  readonly holdout?: number;
  readonly bos?: string;
  readonly eos?: string;
  readonly pad?: string;
  readonly chat?: true;
  readonly specialToken?: readonly string[];
  readonly seed: number;
  readonly json?: true;
}

export async function train(files: readonly string[], options: TrainOptions): Promise<void> {
  const { kind, vocabularySize = null, out, seed, bos, eos, pad, chat, specialToken } = options;
  if (vocabularySize === null && kind !== 'character') {
    throw new AppError('invalid_field', `a tokenizer of kind ${kind} needs --vocabulary-size`);
  }
  const specialTokens = { bos, eos, pad, chat, extra: specialToken };
  const request = { kind, vocabularySize, holdout: options.holdout ?? null, specialTokens, seed, folder: out };
  const kernel = kernelCommand(await requirePython());
  const onMessage = (message: string) => console.error(`${message} ...`);
  const statistics = await interruptible('no tokenizer was made', (signal) =>
    withPlainText(files, seed, signal, (text) =>
      trainTokenizer({ ...request, files: text }, { ...kernel, signal, onMessage }),
    ),
  );
  print(options, { folder: out, ...statistics }, () =>
    textTable(['', ''], [['tokenizer', `${out}, ${statistics.vocabulary_size} tokens`], ...statisticsRows(statistics)]),
  );
}

/** Gives `use` files of text alone: those that were given, or what all of them say together in one. */
async function withPlainText<Done>(
  files: readonly string[],
  seed: number,
  signal: AbortSignal,
  use: (text: readonly string[]) => Promise<Done>,
): Promise<Done> {
  if (!files.some((file) => IS_RECORDS.test(file))) return use(files);
  const folder = await mkdtemp(join(tmpdir(), 'slipway-text-'));
  try {
    const data = DataRecipe.parse({ train: files });
    return await use([
      await writeTrainingText({ data, seed, cacheFolder: folder, folder: join(folder, 'text'), signal }),
    ]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
