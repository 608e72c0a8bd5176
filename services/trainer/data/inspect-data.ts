/**
 * What is in data files, without preparing anything: formats, lengths, what would be left out and why, and examples as a model would see
 * them. Reads all of every file in bounded memory; a broken file is a finding, not an error. Knows no terminal.
 */
import { basename, dirname } from 'node:path';
import { errorCode } from '@slipway/shared/bucket/durable-files.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { DataRecipe } from '@slipway/shared/contracts/recipe.ts';
import { type Example, parseExample } from './canonical.ts';
import {
  type Collected,
  type CollectOptions,
  type FileReport,
  openCollection,
  type Rejected,
} from './collect/collect-examples.ts';
import { DigestSet } from './collect/digest-set.ts';
import { findFiles } from './collect/find-files.ts';
import type { FoundFile } from './collect/found-file.ts';
import { multiplyExample, requireNoMultiplication } from './collect/multiply-example.ts';
import { type Reason, Rejections } from './collect/rejections.ts';
import { requireExamples, requireOneFormat } from './collect/require-one-format.ts';
import { Sample } from './collect/sample.ts';
import { encodeExample } from './encode/encode-example.ts';
import { GrowingColumn } from './encode/growing-column.ts';
import { HashedFile } from './hashed-file.ts';
import { preflight } from './preflight.ts';
import { type Part, showEncoded, showPlain } from './show-example.ts';
import { type ModelText, openTextSide, type TextSide } from './text-side.ts';
import { type Bar, histogram, type LengthSummary, suggestMaxLength, summarizeLengths } from './token-lengths.ts';
import { textsOf, type UnknownCharacters, UnknownTally } from './unknown-characters.ts';

interface Model {
  readonly text: ModelText;
  /** Tokens it takes. */
  readonly contextLength: number;
  /** Rows of its embedding. */
  readonly vocabularySize: number;
}

export interface InspectRequest {
  readonly sources: readonly string[];
  readonly data: Pick<DataRecipe, 'format' | 'columns' | 'mixed' | 'template' | 'truncated' | 'max_length' | 'augment'>;
  /** Absent: no tokens are counted. */
  readonly model?: Model | undefined;
  readonly cacheFolder: string;
  /** How many examples to show. */
  readonly show: number;
  /** Where every rejected line is written. */
  readonly rejectedFile?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: (bytes: number, total: number) => void;
}

export interface Lengths extends LengthSummary {
  readonly bars: readonly Bar[];
}

export interface Inspection {
  readonly files: readonly (Omit<FileReport, 'formats' | 'unknownFields' | 'firstRejected'> & {
    readonly bytes: number;
    /** Records of each. */
    readonly formats: Readonly<Record<string, number>>;
  })[];
  /** What would keep a training from using the data, in words; each says what to do. */
  readonly problems: readonly string[];
  readonly examples: number;
  readonly duplicates: number;
  readonly rejected: {
    readonly count: number;
    readonly first: readonly Rejected[];
    readonly reasons: readonly Reason[];
  };
  /** Characters of every example. */
  readonly characters: Lengths | null;
  /** Tokens of up to a thousand examples; null without a model. */
  readonly tokens: (Lengths & { readonly suggestedMaxLength: number }) | null;
  /** Why the template takes some of those thousand not, or not whole. */
  readonly refused: readonly Reason[];
  /** Of all examples; null without a model, or where it knows every character. */
  readonly unknown: UnknownCharacters | null;
  readonly shown: readonly {
    readonly file: string;
    readonly line: number;
    /** A copy as data.augment changes it. */
    readonly isChanged: boolean;
    readonly parts: readonly Part[];
  }[];
}

/** Examples whose tokens are counted. */
const SAMPLE = 1000;
const PREFLIGHT = 100;
const BARS = 10;
const SEED = 1;

/** AppError not_found, already_exists, or what is wrong with the model. */
export async function inspectData(request: InspectRequest): Promise<Inspection> {
  const { data, model, rejectedFile } = request;
  const side = model && openTextSide(model.text, data.template);
  const files = await findFiles(request.sources, request);
  const rejections = new Rejections(rejectedFile === undefined ? null : await newFile(rejectedFile));
  const sample = new Sample(SAMPLE);
  const characters = new GrowingColumn();
  const unknown = new UnknownTally();
  const problems: string[] = [];
  const reports: { readonly report: FileReport; readonly bytes: number }[] = [];
  const options = collectOptions(request, rejections, files);
  for (const file of files) {
    const problem = await problemOf(async () => {
      const { report, batches } = await openCollection(file, options);
      reports.push({ report, bytes: file.bytes });
      for await (const batch of batches) {
        if (report.formats.has('text')) requireNoMultiplication({ weight: 1, augment: data.augment, seed: SEED });
        for (const collected of batch) {
          const example = parseExample(collected.json);
          characters.push(charactersOf(example));
          if (side?.findUnknown) {
            for (const text of textsOf(example)) {
              const looked = side.findUnknown(text);
              unknown.looked(looked.characters);
              for (const character of looked.unknown) unknown.add(character, 1, collected);
            }
          }
          sample.add(collected);
        }
        await rejections.flush();
      }
      requireExamples(report);
      requireOneFormat(report, data.mixed);
    });
    if (problem !== undefined) problems.push(problem);
  }
  await rejections.close();

  const counted =
    side && model && sample.examples.length > 0
      ? await countTokens(sample.examples, side, { ...data, ...model })
      : undefined;
  if (counted?.problem !== undefined) problems.push(counted.problem);
  const sum = (field: 'examples' | 'duplicates') => reports.reduce((total, { report }) => total + report[field], 0);
  return {
    files: reports.map(({ report: { formats, unknownFields: _, firstRejected: __, ...report }, bytes }) => ({
      ...report,
      bytes,
      formats: Object.fromEntries([...formats].map(([name, { count }]) => [name, count])),
    })),
    problems,
    examples: sum('examples'),
    duplicates: sum('duplicates'),
    rejected: { count: rejections.count, first: rejections.first, reasons: rejections.reasons() },
    characters: describeLengths(characters.values()),
    tokens: counted?.tokens ?? null,
    refused: counted?.refused ?? [],
    unknown: unknown.summary(),
    shown: sample.examples.slice(0, request.show).flatMap((one) =>
      [one.json, ...changedCopies(one, data.augment)].map((json, index) => {
        const example = parseExample(json);
        const parts = (counted?.tokens && side && showEncoded(example, side)) || showPlain(example);
        return { file: one.file, line: one.line, isChanged: index > 0, parts };
      }),
    ),
  };
}

/** AppError already_exists, or not_found for the folder it would be in. */
async function newFile(path: string): Promise<HashedFile> {
  try {
    return await HashedFile.create(path);
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST')
      throw new AppError('already_exists', `${path} is there already: name another file, or remove it`, { cause });
    if (errorCode(cause) === 'ENOENT')
      throw new AppError('not_found', `there is no folder ${dirname(path)} to write ${basename(path)} in`, { cause });
    throw cause;
  }
}

/** Those of a training with the recipe's own seed. */
function changedCopies(one: Collected, augment: DataRecipe['augment']): readonly string[] {
  return multiplyExample(one, { weight: 1, augment, seed: SEED }).changed;
}

function collectOptions(request: InspectRequest, rejections: Rejections, files: readonly FoundFile[]): CollectOptions {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let read = 0;
  return {
    format: request.data.format,
    columns: request.data.columns,
    seed: SEED,
    split: 'train',
    seen: new DigestSet(),
    signal: request.signal,
    onRejected: (rejected) => rejections.add(rejected),
    onBytes: (bytes) => {
      read += bytes;
      request.onBytes?.(read, total);
    },
  };
}

interface Counted {
  readonly tokens: Inspection['tokens'];
  readonly refused: readonly Reason[];
  readonly problem: string | undefined;
}

async function countTokens(
  examples: readonly Collected[],
  side: TextSide,
  {
    truncated,
    max_length: maxLength,
    contextLength,
    vocabularySize,
  }: Pick<DataRecipe, 'truncated' | 'max_length'> & Model,
): Promise<Counted> {
  const limits = { maxLength, truncated, contextLength, vocabularySize };
  const looked = examples.slice(0, PREFLIGHT).map(({ json }) => json);
  const problem = await problemOf(async () => void preflight(looked, side, limits));
  const refused = new Rejections(null);
  const lengths: number[] = [];
  // A template that is broken for one is broken for all, and was told above.
  await problemOf(async () => {
    for (const { json, file, line } of examples) {
      const { encoded, rejected } = encodeExample(parseExample(json), side);
      for (const reason of rejected) refused.add({ file, line, reason });
      lengths.push(...encoded.map(({ ids }) => ids.length));
    }
  });
  const summary = describeLengths(lengths);
  return {
    tokens: summary && { ...summary, suggestedMaxLength: suggestMaxLength(summary, contextLength) },
    refused: refused.reasons(),
    problem,
  };
}

/** What an AppError says; any other error is a bug and goes on. */
async function problemOf(work: () => Promise<void>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof AppError) return error.message;
    throw error;
  }
}

function describeLengths(lengths: readonly number[] | Uint32Array): Lengths | null {
  const summary = summarizeLengths(lengths);
  return summary ? { ...summary, bars: histogram(lengths, BARS) } : null;
}

function charactersOf(example: Example): number {
  if ('text' in example) return example.text.length;
  if ('prompt' in example) return example.prompt.length + example.completion.length;
  return example.messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
}
