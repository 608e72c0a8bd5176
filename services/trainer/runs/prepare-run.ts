/**
 * The preparing stage of a run: from its recipe to everything the kernel is told. Finds the base or makes a tokenizer, prepares the data,
 * and writes down what it was made of. Owns the order; each step lies in prepare/ and data/.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readTextSide } from '@slipway/converter/text-side';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Recipe } from '@slipway/shared/contracts/recipe.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describeUntemplated } from '../data/preparation.ts';
import { prepareDataset } from '../data/prepare-dataset.ts';
import { type ModelText, openTextSide } from '../data/text-side.ts';
import { describeUnknown } from '../data/unknown-characters.ts';
import { type BaseModel, findBaseModel } from '../prepare/base-model.ts';
import { samplePrompts } from '../prepare/sample-prompts.ts';
import { scratchConfig } from '../prepare/scratch-config.ts';
import { writeTokenizerFolder } from '../prepare/tokenizer-folder.ts';
import { writeTrainingText } from '../prepare/training-text.ts';
import type { KernelCommand } from '../supervisor/kernel-command.ts';
import { trainTokenizer } from '../tokenizers/train-tokenizer.ts';
import { requireLeftThings } from './left-by-callers.ts';
import type { OpenRun } from './open-run.ts';
import { readRun } from './run-folder.ts';
import type { PreparedJob, StageTools } from './stages.ts';

/** A model without a last position takes examples of any length. */
const ENDLESS = 2 ** 31 - 1;
/** Rows of a stream when the recipe does not say: longer ones cost more and teach little. */
const LONGEST_ROW = 1024;
const RECURRENT_ROW = 256;

interface Made {
  readonly model: PreparedJob['model'];
  readonly text: ModelText;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly lineage: Partial<BaseModel['lineage']>;
}

/** AppError says what of the recipe or its data is wrong, and what to set. */
export async function prepareRun(
  run: OpenRun,
  dataFolder: string,
  kernel: KernelCommand,
  tools: StageTools,
): Promise<PreparedJob> {
  const { recipe } = run.record;
  await requireLeftThings(recipe, dataFolder);
  const made =
    recipe.model.base === null
      ? await fromScratch(run, dataFolder, kernel, tools)
      : await fromBase(run, dataFolder, tools);
  const { text, contextLength, vocabularySize } = made;
  const { train, validation, preparation } = await prepareDataset({
    data: recipe.data,
    seed: recipe.training.seed,
    text,
    contextLength,
    vocabularySize,
    folder: run.folder.data,
    cacheFolder: downloads(dataFolder),
    signal: tools.signal,
    onProgress: (phase, part) => tools.onProgress(`${phase} data`, part),
  });
  const { stop_ids, chat_template, verify, unknown_characters: unknown } = preparation;
  await writeTokenizerFolder(run.folder.tokenizer, text, chat_template, stop_ids);
  run.log({
    type: 'data',
    format: preparation.format,
    examples: preparation.train.examples,
    tokens: preparation.train.tokens,
    supervised_tokens: preparation.train.supervised_tokens,
    validation_tokens: preparation.validation?.tokens ?? 0,
    rejected: preparation.rejected,
    vocabulary_size: vocabularySize,
  });
  const { repeated, unused, changed } = preparation.multiplied;
  if (repeated + unused + changed > 0) {
    const message = `trained on once more by the weight of their file ${repeated}, not at all ${unused}; changed copies ${changed}`;
    run.log({ type: 'log', level: 'info', message });
  }
  if (unknown !== null) run.log({ type: 'log', level: 'warning', message: describeUnknown(unknown) });
  const untemplated = describeUntemplated(preparation);
  if (untemplated !== null) run.log({ type: 'log', level: 'warning', message: untemplated });
  const side = openTextSide({ ...text, chatTemplate: chat_template }, 'model');
  const { prompts, max_new_tokens } = recipe.evaluation;
  return {
    model: made.model,
    tokenizer: run.folder.tokenizer,
    data: { train, validation, verify },
    samples: samplePrompts(prompts, side, verify, contextLength, max_new_tokens),
    stop_ids,
    context_length: contextLength,
    sequence_length: rowLength(recipe, contextLength, preparation.train.max_length),
    lineage: { ...made.lineage, data: preparation.train.source.files },
  };
}

/** AppError invalid_field: a limit that nothing would keep to. */
export function rowLength(
  { training, model }: Pick<Recipe, 'training' | 'model'>,
  contextLength: number,
  longestExample: number | null,
): number {
  const { sequence_length: asked } = training;
  if (asked !== 'auto' && longestExample !== null && asked < longestExample) {
    throw new AppError(
      'invalid_field',
      `training.sequence_length is ${asked}, and examples of up to ${longestExample} tokens are each trained as they are; data.max_length cuts them`,
    );
  }
  if (asked !== 'auto') return asked;
  if (longestExample !== null) return longestExample;
  return model.scratch?.family === 'char-lstm' ? RECURRENT_ROW : Math.min(contextLength, LONGEST_ROW);
}

async function fromBase(run: OpenRun, dataFolder: string, tools: StageTools): Promise<Made> {
  const { recipe, bucket } = run.record;
  const { folder, lineage } = await findBaseModel({
    base: recipe.model.base ?? '',
    bucketUrl: bucket,
    cacheFolder: join(dataFolder, 'bases'),
    modelOfRun: async (id) => {
      const found = await readRun(dataFolder, id).catch(() => undefined);
      return found?.freed_at === null ? found.trained?.model : undefined;
    },
    signal: tools.signal,
    onProgress: (part) => tools.onProgress('exporting the base', part),
  });
  const { text, config } = await readTextSide(folder);
  if (config.vocabularySize === undefined) {
    throw new AppError(
      'invalid_source',
      `model.base: ${folder}/config.json does not say how many tokens it has (vocab_size)`,
    );
  }
  const { method, ...settings } = recipe.model.tuning;
  return {
    model: { kind: 'base', path: folder, tuning: method === 'full' ? null : { method, ...settings } },
    text,
    contextLength: config.contextLength ?? ENDLESS,
    vocabularySize: config.vocabularySize,
    lineage,
  };
}

async function fromScratch(run: OpenRun, dataFolder: string, kernel: KernelCommand, tools: StageTools): Promise<Made> {
  const { scratch } = run.record.recipe.model;
  const { tokenizer } = run.record.recipe;
  if (scratch === null || tokenizer === null)
    throw new Error(`${run.record.id}: a recipe without a model got past its schema`);
  const folder = 'path' in tokenizer ? tokenizer.path : await makeTokenizer(run, tokenizer, dataFolder, kernel, tools);
  const { text } = await readTextSide(folder);
  const { vocabularySize } = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
  return {
    model: { kind: 'scratch', config: scratchConfig(scratch, { vocabularySize, ...text }) },
    text,
    contextLength: scratch.family === 'char-lstm' ? ENDLESS : scratch.context_length,
    vocabularySize,
    lineage: {},
  };
}

/** Once for a run: one that was begun is there whole, or not. */
async function makeTokenizer(
  run: OpenRun,
  wanted: {
    readonly kind: 'bpe' | 'sentencepiece-bpe' | 'sentencepiece-unigram' | 'character';
    readonly vocabulary_size: number;
  },
  dataFolder: string,
  { command, environment }: KernelCommand,
  { signal, onProgress }: StageTools,
): Promise<string> {
  const folder = join(run.folder.path, 'trained-tokenizer');
  if ((await stat(folder).catch(() => undefined)) !== undefined) return folder;
  const { data, training } = run.record.recipe;
  const textFolder = join(run.folder.path, 'training-text');
  onProgress('reading data', 0);
  await mkdir(run.folder.path, { recursive: true });
  try {
    const cacheFolder = downloads(dataFolder);
    const text = await writeTrainingText({ data, seed: training.seed, cacheFolder, folder: textFolder, signal });
    onProgress('training a tokenizer', 0);
    await trainTokenizer(
      {
        kind: wanted.kind,
        vocabularySize: wanted.kind === 'character' ? null : wanted.vocabulary_size,
        files: [text],
        // What is held out would be unknown to a vocabulary of characters.
        holdout: 0,
        specialTokens: { chat: data.template === 'chatml' },
        seed: training.seed,
        folder,
      },
      { command, environment, signal, onMessage: (message) => run.log({ type: 'log', level: 'info', message }) },
    );
  } finally {
    await rm(textFolder, { recursive: true, force: true });
  }
  return folder;
}

function downloads(dataFolder: string): string {
  return join(dataFolder, 'downloads');
}
