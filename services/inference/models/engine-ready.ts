/**
 * Whether an engine takes sequences, the wait for one that is being started again, and what its process is like.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { SupervisedEngine } from '../engine/index.ts';
import { residentMemoryOf } from './memory.ts';

const LOOK_AGAIN_MILLISECONDS = 20;

/** Rejects with the signal's reason, or AppError engine_failed when nothing more is tried. */
export async function engineReady(engine: SupervisedEngine, signal: AbortSignal): Promise<void> {
  for (let state = engine.state(); state.kind !== 'ready'; state = engine.state()) {
    if (state.kind === 'failed') throw new AppError('engine_failed', `the engine has failed: ${state.reason}`);
    signal.throwIfAborted();
    await sleep(LOOK_AGAIN_MILLISECONDS);
  }
}

/** Undefined when it is. */
export function whyNotReady(engine: SupervisedEngine): string | undefined {
  const state = engine.state();
  if (state.kind === 'ready') return undefined;
  if (state.kind === 'failed') return `the engine has failed: ${firstLine(state.reason)}`;
  return `the engine is being started again${state.kind === 'restarting' ? `; ${firstLine(state.reason)}` : ''}`;
}

/** As LoadedModel has it. */
export function describeProcess(engine: SupervisedEngine): { memoryBytes: number | null; restarts: number } {
  const state = engine.state();
  return { memoryBytes: state.kind === 'ready' ? residentMemoryOf(state.pid) : null, restarts: engine.restarts() };
}

/** The rest is what a dying process printed; it is in the log. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
