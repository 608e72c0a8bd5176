/**
 * Batches of examples encoded by threads, handed back in the order they came: encoding is most of the time of preparing. Knows nothing of
 * where examples come from.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { EncodedBatch } from './encode-batch.ts';
import type { ThreadAnswer, ThreadData } from './encode-thread.ts';

export interface EncodedLines<Place> {
  readonly encoded: EncodedBatch;
  readonly lines: readonly string[];
  readonly places: readonly Place[];
}

/** Each holds a tokenizer: some 50 MB. */
const MOST_THREADS = 8;
/** Batches on their way per thread: one being encoded, one waiting. */
const AHEAD = 2;

/** `place` comes back as it was given. The threads end when the iteration does. */
export async function* encodeInThreads<Place>(
  batches: AsyncIterable<{ readonly lines: readonly string[]; readonly places: readonly Place[] }>,
  data: ThreadData,
  threads = Math.min(MOST_THREADS, availableParallelism()),
): AsyncGenerator<EncodedLines<Place>> {
  const pool = Array.from({ length: threads }, () => new EncodeThread(data));
  const underWay: { lines: readonly string[]; places: readonly Place[]; encoding: Promise<EncodedBatch> }[] = [];
  let next = 0;
  try {
    for await (const { lines, places } of batches) {
      const thread = pool[next++ % pool.length] as EncodeThread;
      const encoding = thread.encode(lines);
      // It is awaited later; until then its failure is nobody's.
      encoding.catch(() => undefined);
      underWay.push({ lines, places, encoding });
      if (underWay.length < pool.length * AHEAD) continue;
      const first = underWay.shift();
      if (first) yield { lines: first.lines, places: first.places, encoded: await first.encoding };
    }
    for (const { lines, places, encoding } of underWay) yield { lines, places, encoded: await encoding };
  } finally {
    await Promise.all(pool.map((thread) => thread.end()));
  }
}

class EncodeThread {
  readonly #worker: Worker;
  /** In the order they were sent, in which they are answered. */
  readonly #pending: { resolve: (batch: EncodedBatch) => void; reject: (error: Error) => void }[] = [];
  #failure: Error | undefined;

  constructor(data: ThreadData) {
    this.#worker = new Worker(new URL('./encode-thread.ts', import.meta.url), { workerData: data });
    this.#worker.on('message', (answer: ThreadAnswer) => {
      const waiting = this.#pending.shift();
      if (answer.kind === 'done') waiting?.resolve(answer.batch);
      else waiting?.reject(new AppError(answer.code, answer.message));
    });
    this.#worker.on('error', (error: Error) => {
      this.#failure = error;
      for (const { reject } of this.#pending.splice(0)) reject(error);
    });
  }

  encode(lines: readonly string[]): Promise<EncodedBatch> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      this.#worker.postMessage(lines);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
