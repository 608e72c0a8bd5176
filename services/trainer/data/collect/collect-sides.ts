/**
 * All examples of all files onto the disk, one file of canonical lines per side, with what was counted and a sample. Held-out files are read
 * first, so that what is in them is not trained on as well. Knows no tokenizer.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { DatasetKind } from '../canonical.ts';
import { HashedFile } from '../hashed-file.ts';
import { readLines } from '../readers/lines.ts';
import { CHUNK_BYTES } from '../readers/reading.ts';
import type { Augmentation } from './augment-example.ts';
import { type Collected, type CollectOptions, digestOf, type FileReport, openCollection } from './collect-examples.ts';
import { DigestSet } from './digest-set.ts';
import type { FoundFile, TrainedFile } from './found-file.ts';
import { multiplyExample, requireNoMultiplication } from './multiply-example.ts';
import type { Rejections } from './rejections.ts';
import { requireExamples, requireOneFormat } from './require-one-format.ts';
import { Sample } from './sample.ts';
import { type Side, sideOf } from './split-side.ts';

export interface SidesRequest {
  readonly train: readonly TrainedFile[];
  /** Files of their own; empty: `share` of the others. */
  readonly validation: readonly FoundFile[];
  readonly share: number;
  readonly folder: string;
  readonly rejections: Rejections;
  readonly options: Pick<CollectOptions, 'format' | 'columns' | 'seed' | 'signal'>;
  readonly deduplicate: boolean;
  readonly augment: Augmentation | null;
  readonly mixed: 'refuse' | 'accept';
  readonly onBytes: (bytes: number) => void;
}

/** Where an example came from. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface Batch {
  readonly lines: readonly string[];
  readonly places: readonly Place[];
  /** Of the canonical file. */
  readonly bytes: number;
}

export interface CollectedSide {
  readonly examples: number;
  readonly bytes: number;
  readBatches(): AsyncGenerator<Batch>;
}

export interface CollectedSides {
  readonly kind: DatasetKind;
  /** Of all files: `alpaca`, or `alpaca, messages`. */
  readonly format: string;
  readonly reports: readonly FileReport[];
  /** Examples that are trained once more, and those that are not, as their files' weights want it; and changed copies. */
  readonly multiplied: { readonly repeated: number; readonly unused: number; readonly changed: number };
  readonly sample: readonly Collected[];
  readonly sides: Readonly<Record<Side, CollectedSide>>;
}

/** Examples that are looked at before all are encoded. */
const SAMPLE = 100;
/** A batch goes to a thread: large enough to be worth it, small enough that several are in memory. */
const BATCH_BYTES = 262_144;

/** AppError invalid_source: a file is broken, holds no example, or mixes formats. */
export async function collectSides(request: SidesRequest): Promise<CollectedSides> {
  const { folder, options, train, validation, rejections } = request;
  const writers: Record<Side, CanonicalWriter> = {
    train: await CanonicalWriter.create(join(folder, 'canonical.train')),
    validation: await CanonicalWriter.create(join(folder, 'canonical.validation')),
  };
  const seen = request.deduplicate ? new DigestSet() : null;
  const sample = new Sample(SAMPLE);
  const reports: FileReport[] = [];
  const multiplied = { repeated: 0, unused: 0, changed: 0 };
  const files = [
    ...validation.map((file) => ({ file, weight: 1, split: 'validation' as const })),
    ...train.map((file) => ({
      file,
      weight: file.weight,
      split: validation.length > 0 ? ('train' as const) : request.share,
    })),
  ];
  // A copy that says what a held-out example says would be trained, wherever that stands.
  const mayBeTrained = (json: string, split: number | Side) => {
    const digest = digestOf(json);
    return !seen?.has(digest) && (typeof split !== 'number' || sideOf(digest, options.seed, split) === 'train');
  };
  try {
    for (const { file, weight, split } of files) {
      const multiplication = { weight, augment: request.augment, seed: options.seed };
      const { report, batches } = await openCollection(file, {
        ...options,
        split,
        seen,
        onBytes: request.onBytes,
        onRejected: (rejected) => rejections.add(rejected),
      });
      reports.push(report);
      for await (const batch of batches) {
        if (report.formats.has('text')) requireNoMultiplication(multiplication);
        for (const collected of batch) {
          if (collected.side === 'validation') {
            await writers.validation.add(collected);
            continue;
          }
          const { times, ...copies } = multiplyExample(collected, multiplication);
          const changed = copies.changed.filter((json) => mayBeTrained(json, split));
          if (times > 0) sample.add(collected);
          for (let time = 0; time < times; time++) await writers.train.add(collected);
          for (const json of changed) await writers.train.add({ ...collected, json });
          multiplied.repeated += Math.max(0, times - 1);
          multiplied.unused += times === 0 ? 1 : 0;
          multiplied.changed += changed.length;
        }
        await rejections.flush();
      }
      requireExamples(report);
      requireOneFormat(report, request.mixed);
    }
  } finally {
    for (const writer of Object.values(writers)) await writer.close();
  }
  const formats = [...new Set(reports.flatMap((report) => [...report.formats.keys()]))];
  if (formats.includes('text') && formats.length > 1) {
    throw new AppError(
      'invalid_source',
      `text and examples (${formats.join(', ')}) cannot be trained on in one run: train on the text first, and go on from that model with the examples`,
    );
  }
  return {
    kind: formats.includes('text') ? 'stream' : 'examples',
    format: formats.toSorted().join(', '),
    reports,
    multiplied,
    sample: sample.examples,
    sides: { train: writers.train.written(), validation: writers.validation.written() },
  };
}

/** Lines of file, line and example, separated by tabs: JSON has none outside of strings, and none inside either. */
class CanonicalWriter {
  readonly #path: string;
  readonly #file: HashedFile;
  #examples = 0;

  private constructor(path: string, file: HashedFile) {
    this.#path = path;
    this.#file = file;
  }

  static async create(path: string): Promise<CanonicalWriter> {
    return new CanonicalWriter(path, await HashedFile.create(path));
  }

  async add({ file, line, json }: Collected): Promise<void> {
    this.#examples++;
    await this.#file.write(Buffer.from(`${JSON.stringify(file)}\t${line}\t${json}\n`));
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  written(): CollectedSide {
    const path = this.#path;
    return { examples: this.#examples, bytes: this.#file.bytes, readBatches: () => readBatches(path) };
  }
}

async function* readBatches(path: string): AsyncGenerator<Batch> {
  let batch = { lines: [] as string[], places: [] as Place[], bytes: 0 };
  const chunks = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  for await (const lines of readLines(chunks, Number.POSITIVE_INFINITY)) {
    for (const { bytes } of lines) {
      const text = bytes?.toString('utf8') ?? '';
      const [file = '', line = ''] = text.split('\t', 2);
      batch.lines.push(text.slice(file.length + line.length + 2));
      batch.places.push({ file: JSON.parse(file), line: Number(line) });
      batch.bytes += (bytes?.length ?? 0) + 1;
      if (batch.bytes < BATCH_BYTES) continue;
      yield batch;
      batch = { lines: [], places: [], bytes: 0 };
    }
  }
  if (batch.lines.length > 0) yield batch;
}
