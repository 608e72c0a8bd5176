/**
 * Spreads the search for 4-bit grids over threads: it is most of an int4 conversion's time. Threads are started when first needed and
 * do not keep the process alive. Knows how blocks are divided, not how they are fitted.
 */
import { Worker } from 'node:worker_threads';
import { readProcessorLimits, threadsFor } from '@slipway/inference/engine';
import type { FitRequest } from './fit-thread.ts';
import { fitZeroPoints, type ZeroPointBlocks } from './fit-zero-points.ts';

/** Weights below which sending them away takes longer than fitting them. */
const WORTH_A_THREAD = 1 << 17;
/** Each costs some 15 MB. */
const MOST_THREADS = 4;

const threads: FitThread[] = [];

/** As fitZeroPoints, which does this thread's part. */
export async function fitInThreads(weights: Float32Array, size: number): Promise<ZeroPointBlocks> {
  const parts = Math.min(
    threadsFor(readProcessorLimits(null)),
    MOST_THREADS,
    Math.max(1, Math.floor(weights.length / WORTH_A_THREAD)),
  );
  const blocks = weights.length / size;
  const part = (index: number) =>
    weights.subarray(Math.floor((blocks * index) / parts) * size, Math.floor((blocks * (index + 1)) / parts) * size);
  const away = Array.from({ length: parts - 1 }, (_, index) =>
    fitAway(index, { weights: part(index + 1).slice(), size }),
  );
  const here = fitZeroPoints(part(0), size);
  return join([here, ...(await Promise.all(away))], weights.length, blocks);
}

function fitAway(index: number, request: FitRequest): Promise<ZeroPointBlocks> {
  const known = threads[index];
  const thread = known && !known.failed ? known : new FitThread();
  threads[index] = thread;
  return thread.fit(request);
}

class FitThread {
  readonly #worker = new Worker(new URL('./fit-thread.ts', import.meta.url));
  /** In the order they were sent, in which they are answered. */
  #pending: { resolve: (blocks: ZeroPointBlocks) => void; reject: (error: Error) => void }[] = [];
  failed = false;

  constructor() {
    this.#worker.unref();
    this.#worker.on('message', (blocks: ZeroPointBlocks) => {
      this.#pending.shift()?.resolve(blocks);
      if (this.#pending.length === 0) this.#worker.unref();
    });
    this.#worker.on('error', (error: Error) => {
      this.failed = true;
      for (const { reject } of this.#pending) reject(error);
      this.#pending = [];
    });
  }

  fit(request: FitRequest): Promise<ZeroPointBlocks> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ resolve, reject });
      // Only a fit under way is worth staying alive for.
      this.#worker.ref();
      this.#worker.postMessage(request, [request.weights.buffer]);
    });
  }
}

function join(parts: readonly ZeroPointBlocks[], weights: number, blocks: number): ZeroPointBlocks {
  const whole = { q: new Uint8Array(weights), scales: new Float32Array(blocks), zeroPoints: new Uint8Array(blocks) };
  let weight = 0;
  let block = 0;
  for (const { q, scales, zeroPoints } of parts) {
    whole.q.set(q, weight);
    whole.scales.set(scales, block);
    whole.zeroPoints.set(zeroPoints, block);
    weight += q.length;
    block += scales.length;
  }
  return whole;
}
