/**
 * An engine that is started again when its process dies, with a growing pause between attempts. Pending sequences fail with the
 * death that ended them; none is run twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { LayoutSpec } from '../runtime/open-layout.ts';
import { type EngineProcess, type StartOptions, startEngine } from './client.ts';
import type { Engine } from './contract.ts';
import { IDLE_STATS } from './step-counts.ts';

export type EngineState =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly pid: number }
  | { readonly kind: 'restarting'; readonly reason: string }
  /** Nothing more is tried. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface SuperviseOptions extends Omit<StartOptions, 'signal'> {
  /** Told every change, also those before the first start has succeeded. */
  readonly onState?: (state: EngineState) => void;
  /** Gives up the first start. */
  readonly signal?: AbortSignal;
  /** Milliseconds before the first new attempt; doubles up to `longestPause`. */
  readonly shortestPause?: number;
  readonly longestPause?: number;
  /** Milliseconds of life after which a death counts as the first again. */
  readonly stableAfter?: number;
  /** Attempts until the first start counts as failed; one that worked once is tried for ever. */
  readonly firstAttempts?: number;
}

export interface SupervisedEngine extends Engine {
  state(): EngineState;
  /** How often its process has died after it had been open. */
  restarts(): number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Resolves when the model is open for the first time. Rejects with the layout's AppError when it refuses the model, and with
 * `engine_failed` when the process dies `firstAttempts` times before.
 */
export async function superviseEngine(spec: LayoutSpec, options: SuperviseOptions = {}): Promise<SupervisedEngine> {
  const { shortestPause = 100, longestPause = 30_000, stableAfter = 60_000, firstAttempts = 3 } = options;
  const closing = new AbortController();
  let state: EngineState = { kind: 'loading' };
  let current: EngineProcess | undefined;
  let restarted: Promise<void> = Promise.resolve();
  let failuresInRow = 0;
  let restarts = 0;

  function enter(next: EngineState): void {
    state = next;
    options.onState?.(next);
  }

  async function attempt(signal: AbortSignal): Promise<EngineProcess> {
    const engine = await startEngine(spec, { ...options, signal });
    const startedAt = performance.now();
    current = engine;
    enter({ kind: 'ready', pid: engine.pid });
    engine.onExit((reason) => {
      if (closing.signal.aborted) return;
      restarts++;
      if (performance.now() - startedAt >= stableAfter) failuresInRow = 0;
      restarted = restart(reason);
    });
    return engine;
  }

  /** Ends early when given up; the next attempt says so. */
  async function pause(signal: AbortSignal): Promise<void> {
    const milliseconds = Math.min(shortestPause * 2 ** failuresInRow++, longestPause);
    await sleep(milliseconds, undefined, { signal }).catch(() => {});
  }

  async function restart(why: string): Promise<void> {
    let reason = why;
    while (!closing.signal.aborted) {
      enter({ kind: 'restarting', reason });
      await pause(closing.signal);
      try {
        await attempt(closing.signal);
        return;
      } catch (error) {
        reason = messageOf(error);
      }
    }
  }

  async function startFirst(): Promise<EngineProcess> {
    const signal = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal;
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt(signal);
      } catch (error) {
        const reason = messageOf(error);
        const isRefused = error instanceof AppError && error.code !== 'engine_failed';
        if (isRefused || signal.aborted || attempts >= firstAttempts) {
          enter({ kind: 'failed', reason });
          throw error;
        }
        enter({ kind: 'restarting', reason });
        await pause(signal);
      }
    }
  }

  enter(state);
  const { info } = await startFirst();

  return {
    info,
    state: () => state,
    restarts: () => restarts,

    submit(request, onEvent) {
      if (state.kind === 'ready' && current) current.submit(request, onEvent);
      else {
        const why = 'reason' in state ? `: ${state.reason}` : '';
        const error = `the model is not ready; its engine is ${state.kind}${why}`;
        onEvent({ type: 'finished', reason: 'failed', error });
      }
    },

    cancel: (id) => current?.cancel(id),
    stats: () => current?.stats() ?? IDLE_STATS,

    async close() {
      if (closing.signal.aborted) return;
      closing.abort();
      await current?.close();
      await restarted;
      state = { kind: 'failed', reason: 'the engine was closed' };
    },
  };
}
