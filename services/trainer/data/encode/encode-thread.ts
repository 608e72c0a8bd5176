/**
 * A thread of encode-in-threads.ts: encodes what it is sent and sends it back.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { TemplateName } from '../templates/find-template.ts';
import { type ModelText, openTextSide } from '../text-side.ts';
import { type EncodedBatch, encodeBatch } from './encode-batch.ts';

export interface ThreadData {
  readonly text: ModelText;
  readonly template: TemplateName;
  /** Tokens of one example that are returned. */
  readonly keep: number;
}

/** An AppError loses its class on the way. */
export type ThreadAnswer =
  | { readonly kind: 'done'; readonly batch: EncodedBatch }
  | { readonly kind: 'failed'; readonly code: AppError['code']; readonly message: string };

const { text, template, keep } = workerData as ThreadData;
const side = openTextSide(text, template);

parentPort?.on('message', (lines: readonly string[]) => {
  parentPort?.postMessage(answer(lines));
});

function answer(lines: readonly string[]): ThreadAnswer {
  try {
    return { kind: 'done', batch: encodeBatch(lines, side, keep) };
  } catch (error) {
    if (error instanceof AppError) return { kind: 'failed', code: error.code, message: error.message };
    throw error;
  }
}
