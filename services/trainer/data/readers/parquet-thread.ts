/**
 * A thread of parquet.ts: hands over one batch of rows each time it is asked.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { readParquetRows } from './parquet-rows.ts';
import type { Reading } from './reading.ts';

export interface ParquetFile {
  readonly path: string;
  /** For messages. */
  readonly name: string;
}

/** `batch` null: that was all. */
export type ParquetAnswer =
  | { readonly kind: 'batch'; readonly batch: readonly Reading[] | null }
  | { readonly kind: 'refused'; readonly message: string };

const { path, name } = workerData as ParquetFile;
const batches = readParquetRows(path, name);

parentPort?.on('message', async () => {
  parentPort?.postMessage(await nextBatch());
});

async function nextBatch(): Promise<ParquetAnswer> {
  try {
    const { value } = await batches.next();
    return { kind: 'batch', batch: value ?? null };
  } catch (error) {
    if (error instanceof AppError) return { kind: 'refused', message: error.message };
    throw error;
  }
}
