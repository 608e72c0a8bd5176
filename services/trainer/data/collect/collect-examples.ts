/**
 * Files to examples: read, converted, cleaned, without duplicates, each on its side of the split and with its place. Owns what is counted
 * on the way. Knows no tokenizer.
 */
import { createHash } from 'node:crypto';
import type { Example } from '../canonical.ts';
import { type ConvertOptions, convertRecord } from '../formats/convert-record.ts';
import type { FormatName } from '../formats/format.ts';
import { type FileType, openDataFile } from '../readers/open-file.ts';
import type { DigestSet } from './digest-set.ts';
import type { FoundFile } from './found-file.ts';
import { type PassagePart, PassageRuns } from './passage-runs.ts';
import { type Side, sideOf } from './split-side.ts';

export interface Collected {
  readonly side: Side;
  /** The example as its line of canonical JSON. */
  readonly json: string;
  /** sha256 of what it says. */
  readonly digest: Buffer;
  readonly file: string;
  readonly line: number;
}

export interface Rejected {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
}

/** Of one format in one file: how many, and where the first of them stand. */
export interface FormatCount {
  count: number;
  readonly firstLines: number[];
}

export interface FileReport {
  readonly file: string;
  readonly type: FileType;
  readonly isGzipped: boolean;
  readonly formats: Map<FormatName, FormatCount>;
  examples: number;
  duplicates: number;
  rejected: number;
  firstRejected: Rejected | undefined;
  /** The first record that would have to be mapped to be of use. */
  unknownFields: Readonly<Record<string, unknown>> | undefined;
}

export interface CollectOptions extends ConvertOptions {
  readonly seed: number;
  /** Share that is held out; or the side all of it is for. */
  readonly split: number | Side;
  /** What was seen before, in other files too; null: duplicates are kept. */
  readonly seen: DigestSet | null;
  readonly onRejected: (rejected: Rejected) => void;
  readonly onBytes?: ((bytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_LINES = 5;

/** AppError invalid_source: the file is not what it seems to be. The report is complete when the last batch has been taken. */
export async function openCollection(found: FoundFile, options: CollectOptions) {
  const { onBytes } = options;
  const opened = await openDataFile(found.path, {
    name: found.name,
    asText: options.format === 'text' && /\.(txt|md|text)(\.gz)?$/i.test(found.name),
    ...(onBytes ? { onBytes } : {}),
  });
  const report: FileReport = {
    file: found.name,
    type: opened.type,
    isGzipped: opened.isGzipped,
    formats: new Map(),
    examples: 0,
    duplicates: 0,
    rejected: 0,
    firstRejected: undefined,
    unknownFields: undefined,
  };
  return { report, batches: collect(opened.readings, report, options) };
}

async function* collect(
  readings: Awaited<ReturnType<typeof openDataFile>>['readings'],
  report: FileReport,
  options: CollectOptions,
): AsyncGenerator<Collected[]> {
  const { file } = report;
  const runs = new PassageRuns();
  const reject = (line: number, reason: string) => {
    const rejected = { file, line, reason };
    report.rejected++;
    report.firstRejected ??= rejected;
    options.onRejected(rejected);
  };
  const isNew = (digest: Buffer) => {
    if (!options.seen || options.seen.add(digest)) return true;
    report.duplicates++;
    return false;
  };
  const sideFor = (digest: Buffer) =>
    typeof options.split === 'number' ? sideOf(digest, options.seed, options.split) : options.split;
  const asCollected = ({ side, passage, line, digest }: PassagePart): Collected => {
    report.examples++;
    return { side, json: JSON.stringify(passage), digest, file, line };
  };

  for await (const batch of readings) {
    options.signal?.throwIfAborted();
    const collected: Collected[] = [];
    for (const reading of batch) {
      if (reading.kind === 'bad') {
        reject(reading.line, reading.reason);
      } else if (reading.kind === 'passage') {
        if (options.format !== 'auto' && options.format !== 'text') {
          reject(reading.line, `plain text is no ${options.format} example`);
          continue;
        }
        countFormat(report, 'text', reading.line);
        const digest = digestOf(reading.text);
        if (reading.text.trim() === '' || !isNew(digest)) runs.skip();
        else collected.push(...runs.push(reading, sideFor(digest), digest).map(asCollected));
        if (reading.ends) collected.push(...runs.end().map(asCollected));
      } else {
        const converted = convertRecord(reading.value, options);
        if (converted.kind === 'bad') {
          if (converted.format === null || converted.format === 'preference')
            report.unknownFields ??= fieldsOf(reading.value);
          reject(reading.line, converted.reason);
          continue;
        }
        countFormat(report, converted.format, reading.line);
        const json = JSON.stringify(converted.example satisfies Example);
        const digest = digestOf(json);
        if (!isNew(digest)) continue;
        report.examples++;
        collected.push({ side: sideFor(digest), json, digest, file, line: reading.line });
      }
    }
    yield collected;
  }
}

function countFormat(report: FileReport, format: FormatName, line: number): void {
  const known = report.formats.get(format) ?? { count: 0, firstLines: [] };
  report.formats.set(format, known);
  known.count++;
  if (known.firstLines.length < FIRST_LINES) known.firstLines.push(line);
}

/** Of an example: of its line of canonical JSON. */
export function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}
