/**
 * A thread of fit-in-threads.ts: fits what it is sent and sends it back.
 */
import { parentPort } from 'node:worker_threads';
import { fitZeroPoints } from './fit-zero-points.ts';

export interface FitRequest {
  readonly weights: Float32Array<ArrayBuffer>;
  readonly size: number;
}

parentPort?.on('message', ({ weights, size }: FitRequest) => {
  parentPort?.postMessage(fitZeroPoints(weights, size));
});
