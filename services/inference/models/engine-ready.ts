/**
 * Waits for an engine that is being started again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SupervisedEngine } from '../engine/index.ts';

const LOOK_AGAIN_MILLISECONDS = 20;

/** Rejects with the signal's reason, or AppError engine_failed when nothing more is tried. */
export async function engineReady(engine: SupervisedEngine, signal: AbortSignal): Promise<void> {
  for (let state = engine.state(); state.kind !== 'ready'; state = engine.state()) {
    if (state.kind === 'failed') throw new AppError('engine_failed', `the engine has failed: ${state.reason}`);
    signal.throwIfAborted();
    await sleep(LOOK_AGAIN_MILLISECONDS);
  }
}
