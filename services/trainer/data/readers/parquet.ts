/**
 * Parquet, read in a thread with bounded memory that is ended when it says nothing for too long: whatever a broken file does to its reader,
 * this process goes on. Knows nothing of the format.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { ParquetAnswer, ParquetFile } from './parquet-thread.ts';
import type { Reading } from './reading.ts';

/** Of JavaScript objects: the rows of one row group. */
const MAX_HEAP_MIB = 4096;
/** The largest row group that is read takes seconds. */
const PATIENCE_MILLISECONDS = 120_000;

/** AppError invalid_source when it is no sound Parquet file. `line` of a reading is its row, from 1. */
export async function* readParquet(
  path: string,
  name: string,
  patience = PATIENCE_MILLISECONDS,
): AsyncGenerator<readonly Reading[]> {
  const worker = new Worker(new URL('./parquet-thread.ts', import.meta.url), {
    workerData: { path, name } satisfies ParquetFile,
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MIB },
  });
  try {
    for (;;) {
      worker.postMessage('next');
      const answer = await nextAnswer(worker, name, patience);
      if (answer.kind === 'refused') throw new AppError('invalid_source', answer.message);
      if (answer.batch === null) return;
      yield answer.batch;
    }
  } finally {
    await worker.terminate();
  }
}

async function nextAnswer(worker: Worker, name: string, patience: number): Promise<ParquetAnswer> {
  try {
    // Rejects with what the thread died of.
    const [answer]: ParquetAnswer[] = await once(worker, 'message', { signal: AbortSignal.timeout(patience) });
    if (answer) return answer;
  } catch (cause) {
    const why = cause instanceof Error && cause.name === 'AbortError' ? 'reading it does not end' : String(cause);
    throw new AppError('invalid_source', `${name}: no valid Parquet file: ${why}`, { cause });
  }
  throw new AppError('invalid_source', `${name}: no valid Parquet file: nothing came of reading it`);
}
