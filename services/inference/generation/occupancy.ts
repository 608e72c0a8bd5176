/**
 * The semaphore (p-limit) over all models, with a bounded, deadline-aware queue behind it. Owns the measured pace of each engine.
 * Knows nothing of what a request does while it runs.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import pLimit, { type LimitFunction } from 'p-limit';
import {
  admit,
  expectedSeconds,
  type Observation,
  type Pace,
  UNKNOWN_PACE,
  updatePace,
  type Work,
} from './admission.ts';

/** An engine's pace is kept by this object itself: as long as the engine lives, and no longer. */
export interface Paced {
  readonly slots: number;
}

/** Whose turn it is, for work of one priority. */
export interface Turns {
  /** `task` gets a signal that aborts with the one given, and when what runs has to give way. */
  run<T>(
    work: Work,
    engine: Paced,
    deadline: number,
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
  observe(seen: Observation, engine: Paced): void;
}

interface Entry {
  readonly expectedSeconds: number;
  /** As steadyNow() has it; undefined while it waits. */
  startedAt: number | undefined;
}

/** All that p-limit's own queue holds of one that waits; emptied when it leaves, because its place stays until its turn. */
interface Turn {
  take: (() => Promise<void>) | undefined;
}

export class Occupancy implements Turns {
  readonly #limit: LimitFunction;
  readonly #permits: number;
  readonly #queueLimit: number;
  readonly #entries = new Set<Entry>();
  #waiting = 0;
  readonly #paces = new WeakMap<Paced, Pace>();
  #onChange = () => {};

  constructor(permits: number, queueLimit: number) {
    this.#limit = pLimit(permits);
    this.#permits = permits;
    this.#queueLimit = queueLimit;
  }

  get running(): number {
    return this.#entries.size - this.#waiting;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Of all that may run at once, what no request runs in or waits for. */
  roomIn({ slots }: Paced): number {
    return Math.max(0, Math.min(this.#permits, slots) - this.#entries.size);
  }

  /** `onChange`: told whenever a request has come or gone. */
  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }

  /**
   * Runs `task` when its turn comes. AppError overloaded at once when it may not wait or could not finish by `deadline`
   * (as steadyNow() has it). A request whose signal aborts leaves the queue, and its task never runs.
   */
  run<T>(
    work: Work,
    engine: Paced,
    deadline: number,
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const now = steadyNow();
    const expected = expectedSeconds(work, this.#paceOf(engine), engine.slots);
    const entry: Entry = { expectedSeconds: expected, startedAt: undefined };
    const decision = admit(
      {
        permits: this.#permits,
        requests: this.#entries.size,
        queueLimit: this.#queueLimit,
        secondsAhead: this.#secondsAhead(now),
      },
      { expectedSeconds: entry.expectedSeconds, secondsToDeadline: (deadline - now) / 1000 },
    );
    if (decision.kind === 'refuse') throw refusal(decision.why, decision.retryAfter, this.#waiting);
    return this.#enqueue(entry, signal, () => task(signal));
  }

  observe(seen: Observation, engine: Paced): void {
    this.#paces.set(engine, updatePace(this.#paceOf(engine), seen, engine.slots));
  }

  #paceOf(engine: Paced): Pace {
    return this.#paces.get(engine) ?? UNKNOWN_PACE;
  }

  #enqueue<T>(entry: Entry, signal: AbortSignal, task: () => Promise<T>): Promise<T> {
    this.#entries.add(entry);
    this.#waiting++;
    this.#onChange();
    return new Promise<T>((resolve, reject) => {
      const turn: Turn = { take: undefined };
      const leave = () => {
        turn.take = undefined;
        this.#waiting--;
        this.#remove(entry);
        reject(signal.reason);
      };
      if (signal.aborted) return leave();
      signal.addEventListener('abort', leave, { once: true });
      turn.take = async () => {
        signal.removeEventListener('abort', leave);
        this.#waiting--;
        entry.startedAt = steadyNow();
        await task()
          .then(resolve, reject)
          .finally(() => this.#remove(entry));
      };
      void this.#limit(takerOf(turn));
    });
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry);
    this.#onChange();
  }

  #secondsAhead(now: number): number {
    let seconds = 0;
    for (const entry of this.#entries) {
      const elapsed = entry.startedAt === undefined ? 0 : (now - entry.startedAt) / 1000;
      seconds += Math.max(0, entry.expectedSeconds - elapsed);
    }
    return seconds;
  }
}

/** Not an arrow where the task is in scope, which would hold it as long as the queue holds the arrow. */
function takerOf(turn: Turn): () => Promise<void> {
  return async () => turn.take?.();
}

function refusal(why: 'queue_full' | 'too_late', retryAfter: number, waiting: number): AppError {
  const reason =
    why === 'queue_full'
      ? `the queue is full (${waiting} requests wait)`
      : `${waiting} requests wait, and this one would not be done before its deadline`;
  return new AppError('overloaded', `${reason}; try again in ${retryAfter} s`, { retryAfter });
}
