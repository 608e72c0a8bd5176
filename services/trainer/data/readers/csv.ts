/**
 * CSV and TSV by csv-parse: the first line names the columns, every row becomes a record. The separator is the one the first line has most
 * of. A row that does not fit the columns is told and skipped.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import { MAX_RECORD_BYTES, type Reading } from './reading.ts';

const BATCH = 256;

/**
 * `head`: the file's beginning. `line` of a reading is where the row ends. AppError invalid_source where a quote is never closed: from there
 * on nobody knows what is a row.
 */
export async function* readCsv(
  chunks: AsyncIterable<Buffer>,
  { name, head }: { readonly name: string; readonly head: string },
): AsyncGenerator<Reading[]> {
  let batch: Reading[] = [];
  let fatal: CsvError | undefined;
  const parser = parse({
    bom: true,
    columns: true,
    info: true,
    delimiter: separatorOf(head),
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_BYTES,
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error?.code === 'CSV_QUOTE_NOT_CLOSED' || error?.code === 'CSV_MAX_RECORD_SIZE') {
        fatal ??= error;
        parser.destroy();
      } else if (error) batch.push({ kind: 'bad', line: lineOf(error), reason: inWords(error) });
    },
  });
  const feeding = feed(chunks, parser);
  try {
    for await (const row of parser) {
      const { record, info } = Row.parse(row);
      batch.push({ kind: 'record', line: info.lines - 1, value: record });
      if (batch.length < BATCH) continue;
      yield batch.toSorted(byLine);
      batch = [];
    }
    await feeding;
  } catch (error) {
    if (!fatal && !(error instanceof CsvError)) throw error;
    fatal ??= error instanceof CsvError ? error : undefined;
  }
  if (fatal) {
    const why = `${name}: line ${lineOf(fatal)}: no valid CSV from here on: ${inWords(fatal)}`;
    throw new AppError('invalid_source', why, { cause: fatal });
  }
  yield batch.toSorted(byLine);
}

const Row = z.object({ record: z.record(z.string(), z.string()), info: z.object({ lines: z.number() }) });
const Place = z.object({ lines: z.number() });

/** What is wrong with a row is told before the good rows around it. */
function byLine(a: Reading, b: Reading): number {
  return a.line - b.line;
}

async function feed(chunks: AsyncIterable<Buffer>, parser: ReturnType<typeof parse>): Promise<void> {
  try {
    for await (const chunk of chunks) {
      if (parser.destroyed) return;
      if (!parser.write(chunk)) await new Promise((resolve) => parser.once('drain', resolve).once('close', resolve));
    }
    parser.end();
  } catch (error) {
    parser.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function separatorOf(head: string): string {
  const first = head.split(/\r?\n/, 1)[0] ?? '';
  const counted = [',', '\t', ';', '|'].map((separator) => ({ separator, count: first.split(separator).length }));
  return counted.toSorted((a, b) => b.count - a.count)[0]?.separator ?? ',';
}

function lineOf(error: CsvError): number {
  const place = Place.safeParse(error);
  return place.success ? Math.max(1, place.data.lines - 1) : 1;
}

function inWords(error: CsvError): string {
  switch (error.code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quote is never closed';
    case 'CSV_MAX_RECORD_SIZE':
      return `a row is longer than ${MAX_RECORD_BYTES >> 20} MiB; a quote before it may not be closed`;
    case 'CSV_RECORD_INCONSISTENT_COLUMNS':
      return 'it has more or fewer cells than the first line has columns';
    default:
      return error.message;
  }
}
