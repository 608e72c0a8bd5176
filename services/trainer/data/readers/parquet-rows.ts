/**
 * The rows of a Parquet file by hyparquet, one row group at a time. What the file claims of its sizes is checked before anything is
 * allocated for it. Runs in a thread of its own (parquet.ts): a broken file can make hyparquet loop without end.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import type { Reading } from './reading.ts';

/** A row group is in memory whole; writers make them of some 128 MB, or of a million rows. */
const MAX_GROUP_BYTES = 1 << 30;
const MAX_GROUP_ROWS = 1 << 24;
const MAX_PAGE_BYTES = 256 << 20;
const BATCH = 1024;

/** AppError invalid_source when it is no sound Parquet file. `line` of a reading is its row, from 1. */
export async function* readParquetRows(path: string, name: string): AsyncGenerator<Reading[]> {
  const file = await asyncBufferFromFile(path);
  const metadata = await guarded(name, () => parquetMetadataAsync(file));
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + requireBearable(group, file.byteLength, name);
    const options = { file, metadata, rowStart, rowEnd, compressors: BOUNDED, geoparquet: false };
    const rows = await guarded(name, () => parquetReadObjects(options));
    if (rows.length !== rowEnd - rowStart) {
      throw broken(name, `it announces ${rowEnd - rowStart} rows from row ${rowStart + 1} on and has ${rows.length}`);
    }
    for (let start = 0; start < rows.length; start += BATCH) {
      yield rows
        .slice(start, start + BATCH)
        .map((row, index) => ({ kind: 'record', line: rowStart + start + index + 1, value: plain(row) }));
    }
    rowStart = rowEnd;
  }
}

const BOUNDED: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, outputLength: number) => {
      if (!(outputLength >= 0 && outputLength <= MAX_PAGE_BYTES)) {
        throw new Error(`a page claims ${outputLength} bytes; at most ${MAX_PAGE_BYTES} are read`);
      }
      return decompress(input, outputLength);
    },
  ]),
);

/** The group's rows. */
function requireBearable(group: FileMetaData['row_groups'][number], fileBytes: number, name: string): number {
  const rows = Number(group.num_rows);
  let bytes = 0;
  for (const { meta_data: column } of group.columns) {
    const [packed, unpacked] = [Number(column?.total_compressed_size), Number(column?.total_uncompressed_size)];
    const start = Number(column?.dictionary_page_offset ?? column?.data_page_offset);
    if (!(packed >= 0 && unpacked >= 0 && start >= 0 && start + packed <= fileBytes)) {
      throw broken(name, 'a column lies outside of the file');
    }
    if (Number(column?.num_values) > MAX_GROUP_ROWS) throw broken(name, `a column claims ${column?.num_values} values`);
    bytes += unpacked;
  }
  if (rows >= 0 && rows <= MAX_GROUP_ROWS && bytes <= MAX_GROUP_BYTES) return rows;
  throw broken(
    name,
    `a row group claims ${rows} rows and ${bytes} bytes; at most ${MAX_GROUP_ROWS} rows and ${MAX_GROUP_BYTES} bytes are read at once: write it with smaller row groups`,
  );
}

/** JSON has no 64-bit integers and no dates. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

async function guarded<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw broken(name, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function broken(name: string, why: string, cause?: unknown): AppError {
  return new AppError('invalid_source', `${name}: no valid Parquet file: ${why}`, { cause });
}
