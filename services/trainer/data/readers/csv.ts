/**
 * CSV and TSV by csv-parse: the first line names the columns, every row becomes a record. The separator is the one the first line has most
 * of. A row that does not fit the columns is told and skipped.
 */
import { isUtf8 } from 'node:buffer';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import { MAX_RECORD_BYTES, NOT_UTF_8, type Reading } from './reading.ts';

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
  // csv-parse counts a line end of two characters inside of quotes twice.
  let countedTwice = 0;
  let lastLine = 1;
  const parser = parse({
    // Bytes as they are: what is no UTF-8 would become other characters without a word.
    encoding: 'latin1',
    columns: true,
    delimiter: separatorOf(head),
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_BYTES,
    skip_records_with_error: true,
    on_skip: (error) => {
      if (error?.code === 'CSV_QUOTE_NOT_CLOSED' || error?.code === 'CSV_MAX_RECORD_SIZE') {
        fatal ??= error;
        parser.destroy();
      } else if (error) {
        const { record, lines } = Skipped.parse(error);
        lastLine = lineOf(Object.values(record), lines);
        batch.push({ kind: 'bad', line: lastLine, reason: inWords(error) });
      }
    },
    on_record: (record: Record<string, string>, { lines }) => {
      lastLine = lineOf(Object.values(record), lines);
      return { record, line: lastLine };
    },
  });
  const lineOf = (cells: readonly string[], lines: number) => {
    countedTwice += cells.reduce((sum, cell) => sum + cell.split('\r\n').length - 1, 0);
    return lines - countedTwice;
  };
  const feeding = feed(chunks, parser);
  try {
    for await (const row of parser) {
      const { record, line } = Row.parse(row);
      const value = asUtf8(record);
      batch.push(value ? { kind: 'record', line, value } : { kind: 'bad', line, reason: NOT_UTF_8 });
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
    const why = `${name}: line ${lastLine + 1}: no valid CSV from here on: ${inWords(fatal)}`;
    throw new AppError('invalid_source', why, { cause: fatal });
  }
  yield batch.toSorted(byLine);
}

/** Undefined when a cell or the name of its column is none. */
function asUtf8(record: Readonly<Record<string, string>>): Record<string, string> | undefined {
  const cells = Object.entries(record).map((cell) => cell.map(decoded));
  const isWhole = (cell: (string | undefined)[]): cell is [string, string] => !cell.includes(undefined);
  return cells.every(isWhole) ? Object.fromEntries(cells) : undefined;
}

function decoded(bytes: string): string | undefined {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  const buffer = Buffer.from(bytes, 'latin1');
  return isUtf8(buffer) ? buffer.toString('utf8') : undefined;
}

const BYTE_ORDER_MARK = Buffer.from('\uFEFF');

const Row = z.object({ record: z.record(z.string(), z.string()), line: z.number() });
const Skipped = z.object({ record: z.array(z.string()).catch([]), lines: z.number() });

/** What is wrong with a row is told before the good rows around it. */
function byLine(a: Reading, b: Reading): number {
  return a.line - b.line;
}

async function feed(chunks: AsyncIterable<Buffer>, parser: ReturnType<typeof parse>): Promise<void> {
  try {
    let isFirst = true;
    for await (const chunk of chunks) {
      if (parser.destroyed) return;
      const hasMark = isFirst && chunk.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
      isFirst = false;
      if (!parser.write(hasMark ? chunk.subarray(BYTE_ORDER_MARK.length) : chunk))
        await new Promise((resolve) => parser.once('drain', resolve).once('close', resolve));
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
