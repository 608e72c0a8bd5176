/**
 * The engine over one layout: `plan -> run -> sample -> commit`, step after step while there is work. Owns when it steps, waits and stops,
 * and what a failed run means; the sequences and slots are the scheduler's. Knows nothing of processes, text or HTTP.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { type Layout, TerminatedError } from '../runtime/layout.ts';
import { callAt } from './call-at.ts';
import type { Engine } from './contract.ts';
import { findFault } from './find-fault.ts';
import { ModelRunner } from './model-runner.ts';
import { type PlanLimits, sequencesOf } from './plan.ts';
import { Scheduler } from './scheduler.ts';
import { type Sequence, tell } from './sequence.ts';

export interface EngineOptions {
  readonly limits?: Partial<PlanLimits>;
  /** Guess tokens of a sequence that decodes alone, where the layout can check them; true unless given. Changes no token. */
  readonly speculate?: boolean;
  /** The clock of the deadlines; steadyNow unless given. */
  readonly now?: () => number;
  /** Called once when the layout has failed too often to go on; everything pending has been failed by then. */
  readonly onBroken?: (reason: string) => void;
}

const DEFAULT_LIMITS = { chunkWhileDecoding: 128, chunkAlone: 512, chunkWithLogits: 64, spareSlots: 2 };

/** Runs that may fail in a row before the layout counts as broken. */
const FAILURES_TO_BREAK = 3;

/** An engine in this process; it closes the layout when it is closed. */
export function createEngine(layout: Layout, options: EngineOptions = {}): Engine {
  const { limits, speculate = true, now = steadyNow, onBroken } = options;
  const scheduler = new Scheduler(layout, { ...DEFAULT_LIMITS, ...limits }, wake);
  const runner = new ModelRunner(layout, scheduler, { speculate, now });
  let failuresInRow = 0;
  let terminationsInRow = 0;
  /** Why it takes no more work. */
  let stopped: string | undefined;
  let loop: Promise<void> | undefined;
  /** Calls off the alarm that wakes it at the first deadline when all that is left to do is to wait. */
  let callOffAlarm = () => {};
  let closed: Promise<void> | undefined;

  async function step(): Promise<boolean> {
    const plan = scheduler.plan(runner.promptWork, now());
    try {
      scheduler.apply(plan);
      if (stopped !== undefined) return false;
      if (plan.run.type === 'idle') return scheduler.isEmpty && scheduler.addBackground();
      await runner.run(plan.run);
      failuresInRow = 0;
      terminationsInRow = 0;
    } catch (error) {
      fail(error, sequencesOf(plan.run));
    }
    return true;
  }

  /** A run that failed takes its own sequences with it, and everything when it is not the first in a row. */
  function fail(error: unknown, involved: readonly Sequence[]): void {
    if (error instanceof TerminatedError) {
      // Someone left or ran out of time: that says nothing about the model, however often it happens.
      if (stopped !== undefined || involved.some(({ cancelled, deadline }) => cancelled || now() >= deadline)) return;
      // It can also hit a sequence that was just done; the next plan repeats what the run was to do.
      if (terminationsInRow++ < FAILURES_TO_BREAK) return;
    }
    const message = error instanceof Error ? error.message : String(error);
    for (const sequence of involved) {
      scheduler.discard(sequence, { reason: 'failed', error: `the model could not be run: ${message}` });
    }
    if (++failuresInRow < FAILURES_TO_BREAK) return;
    stop(`the model failed ${failuresInRow} times in a row, the last time with: ${message}`);
    onBroken?.(message);
  }

  async function runLoop(): Promise<void> {
    // A layout that answers at once must not keep submissions and cancellations from being heard.
    while (stopped === undefined && (await step())) await nextTurn();
    loop = undefined;
    if (stopped !== undefined || scheduler.isEmpty) return;
    const { sequences } = scheduler;
    // What came in between the last plan and here.
    if (sequences.some(({ isPaused, cancelled }) => !isPaused || cancelled)) wake();
    else callOffAlarm = callAt(Math.min(...sequences.map(({ deadline }) => deadline)), now, wake);
  }

  function wake(): void {
    callOffAlarm();
    loop ??= nextTurn().then(runLoop);
  }

  function cancel(sequence: Sequence): void {
    sequence.cancelled = true;
    if (sequence.isPaused) wake();
    runner.terminate(sequence);
    scheduler.leaveLine(sequence);
  }

  function stop(reason: string): void {
    stopped ??= reason;
    for (const sequence of scheduler.sequences) scheduler.finish(sequence, { reason: 'failed', error: reason });
  }

  async function close(): Promise<void> {
    stop('the engine was closed');
    runner.terminate();
    callOffAlarm();
    await loop;
    await scheduler.close();
    await layout.close();
  }

  return {
    info: {
      layout: layout.kind,
      vocabularySize: layout.vocabularySize,
      contextLength: layout.contextLength,
      slots: layout.slots,
      threads: layout.threads,
      device: 'cpu',
      runtime: layout.runtime,
    },

    submit(request, onEvent) {
      const taken = scheduler.find(request.id) && `a sequence with the id ${request.id} is already pending`;
      const fault = stopped ?? taken ?? findFault(request, layout);
      if (fault !== undefined) {
        tell(onEvent, { type: 'finished', reason: 'failed', error: fault });
        return;
      }
      if (!(request.maxNewTokens > 0) && request.promptLogprobs === undefined) {
        tell(onEvent, { type: 'finished', reason: 'length' });
        return;
      }
      const { background } = scheduler;
      if (background) cancel(background);
      scheduler.add(request, onEvent);
      wake();
    },

    cancel(id) {
      const sequence = scheduler.find(id);
      if (sequence) cancel(sequence);
    },

    stats: () => ({ ...scheduler.usage(), ...runner.counts.read() }),

    close() {
      closed ??= close();
      return closed;
    },
  };
}
