/**
 * `slipway tokenizer train`: text files to a tokenizer's folder, by the trainer's kernel.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { kernelCommand } from '@slipway/trainer/kernel-command';
import type { TokenizerKind } from '@slipway/trainer/tokenizer-statistics';
import { trainTokenizer } from '@slipway/trainer/train-tokenizer';
import { interruptible } from '../interruptible.ts';
import { print } from '../models/bucket-option.ts';
import { requirePython } from '../require-python.ts';
import { textTable } from '../text-table.ts';
import { statisticsRows } from './statistics-rows.ts';

const HOLDOUT = 0.05;

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
  // A character that is only in what is held out would be unknown.
  const holdout = options.holdout ?? (kind === 'character' ? 0 : HOLDOUT);
  const specialTokens = {
    ...(bos !== undefined && { bos }),
    ...(eos !== undefined && { eos }),
    ...(pad !== undefined && { pad }),
    ...(chat !== undefined && { chat }),
    ...(specialToken !== undefined && { extra: specialToken }),
  };
  const request = { kind, vocabularySize, files, holdout, specialTokens, seed, folder: out };
  const kernel = kernelCommand(await requirePython());
  const statistics = await interruptible('no tokenizer was made', async (signal) =>
    trainTokenizer(request, { ...kernel, signal, onMessage: (message) => console.error(`${message} ...`) }),
  );
  print(options, { folder: out, ...statistics }, () =>
    textTable(['', ''], [['tokenizer', `${out}, ${statistics.vocabulary_size} tokens`], ...statisticsRows(statistics)]),
  );
}
