/**
 * `slipway data prepare`: training data cleaned, split and encoded into a folder. Turns options into a request and the outcome into a
 * report.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type DataRecipe, trainOf } from '@slipway/shared/contracts/recipe.ts';
import { describeUnknown, describeUntemplated, type Prepared, prepareDataset } from '@slipway/trainer/data';
import { humanCount } from '../human-units.ts';
import { interruptible } from '../interruptible.ts';
import { createProgress } from '../progress-bar.ts';
import { textTable } from '../text-table.ts';
import { type DataFlags, dataRecipe, downloadFolder } from './data-flags.ts';
import { drawReasons } from './draw-inspection.ts';
import { modelText } from './model-text.ts';

interface PrepareFlags extends DataFlags {
  readonly out: string;
  readonly validation: number;
  readonly seed: number;
  readonly weights?: readonly number[];
}

export async function prepare(files: readonly string[], flags: PrepareFlags): Promise<void> {
  const { model, out, validation, seed } = flags;
  if (model === undefined) {
    throw new AppError('invalid_field', '--model is needed: its tokenizer says what a text is in token ids');
  }
  const opened = await modelText({ ...flags, model });
  const progress = createProgress(flags.json ?? false);
  try {
    const prepared = await interruptible('nothing was written', (signal) =>
      prepareDataset({
        ...opened,
        data: {
          ...dataRecipe(flags),
          train: weighted(files, flags.weights),
          validation,
          deduplicate: true,
          augment: flags.augment ?? null,
        },
        seed,
        folder: out,
        cacheFolder: downloadFolder(),
        signal,
        onProgress: (phase, part, detail) => progress.update(phase, part, detail),
      }),
    );
    progress.end();
    console.log(flags.json ? JSON.stringify(summaryOf(prepared)) : describe(prepared, out));
  } finally {
    progress.end();
  }
}

function weighted(files: readonly string[], weights: readonly number[] = files.map(() => 1)): DataRecipe['train'] {
  if (weights.length !== files.length) {
    throw new AppError('invalid_field', `--weights has ${weights.length} numbers for ${files.length} files`);
  }
  return trainOf(files.map((source, index) => ({ source, weight: weights[index] ?? 1 })));
}

function summaryOf({ train, validation, preparation, isReused }: Prepared) {
  const { verify: _, chat_template: __, ...rest } = preparation;
  return { train_folder: train, validation_folder: validation, reused: isReused, ...rest };
}

function describe({ preparation, isReused }: Prepared, out: string): string {
  const { kind, format, lengths, files, rejected, reasons, unknown_characters: unknown } = preparation;
  const { repeated, unused, changed } = preparation.multiplied;
  const duplicates = files.reduce((sum, file) => sum + file.duplicates, 0);
  const sides = [
    ['train', preparation.train],
    ['validation', preparation.validation],
  ] as const;
  const { max_length, truncated } = preparation.train;
  const untemplated = describeUntemplated(preparation);
  return [
    `${out}  ${format}, ${kind === 'stream' ? 'a stream of documents' : 'examples'}${isReused ? ' (nothing has changed: as it was)' : ''}`,
    textTable(
      ['', kind === 'stream' ? '>passages' : '>examples', '>tokens', '>trained'],
      sides.flatMap(([name, dataset]) =>
        dataset
          ? [
              [
                `  ${name}`,
                String(dataset.examples),
                humanCount(dataset.tokens),
                percent(dataset.supervised_tokens / dataset.tokens),
              ],
            ]
          : [],
      ),
    ),
    ...(kind === 'stream'
      ? []
      : [
          `  max_length  ${max_length}: ${truncated === 0 ? 'none is cut' : `${truncated} cut`}; half have at most ${lengths.median} tokens, 99 % ${lengths.p99}, the longest ${lengths.longest}`,
        ]),
    ...(repeated === 0 ? [] : [`  repeated    ${repeated}, by the weight of their file`]),
    ...(unused === 0 ? [] : [`  not used    ${unused}, by the weight of their file`]),
    ...(changed === 0 ? [] : [`  augmented   ${changed} changed copies`]),
    ...(duplicates === 0 ? [] : [`  duplicates  ${duplicates} left out`]),
    ...(unknown === null ? [] : [`  unknown     ${describeUnknown(unknown)}`]),
    ...(untemplated === null ? [] : [`  note        ${untemplated}`]),
    ...(rejected === 0 ? [] : [`  rejected    ${rejected}, listed in ${out}/rejected.jsonl`, drawReasons(reasons)]),
  ].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
