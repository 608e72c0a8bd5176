/**
 * The time by which sessions on a disk expire. It never goes back, and while the process runs it goes on by the processor's own counter:
 * a system clock that jumps expires nothing and brings nothing back. What passed between two runs only the system clock knows.
 */

/** Two clocks read at one moment, in milliseconds. */
export interface ClockMark {
  readonly store: number;
  readonly system: number;
}

export interface Clocks {
  /** Milliseconds since the epoch. */
  readonly system: () => number;
  /** Milliseconds since any moment. */
  readonly monotonic: () => number;
}

const REAL_CLOCKS: Clocks = { system: Date.now, monotonic: () => performance.now() };
/** Clocks that are disciplined over a network drift apart by less between two looks. */
const JUMP_MILLISECONDS = 60_000;

export class StoreClock {
  readonly #clocks: Clocks;
  readonly #startedAt: number;
  readonly #begin: number;
  #lastMark: ClockMark;

  /** `saved`: what the last run left; undefined: there was none. */
  constructor(saved: ClockMark | undefined, clocks: Clocks = REAL_CLOCKS) {
    this.#clocks = clocks;
    this.#startedAt = clocks.monotonic();
    const system = clocks.system();
    this.#begin = saved === undefined ? system : saved.store + Math.max(0, system - saved.system);
    this.#lastMark = { store: this.#begin, system };
  }

  now(): number {
    return Math.floor(this.#begin + this.#clocks.monotonic() - this.#startedAt);
  }

  /** To be saved with every write. */
  mark(): ClockMark {
    this.#lastMark = { store: this.now(), system: this.#clocks.system() };
    return this.#lastMark;
  }

  /** The system clock was set since the last mark: without a new one, the next run would take the difference for time that passed. */
  hasJumped(): boolean {
    const { store, system } = this.#lastMark;
    return Math.abs(this.#clocks.system() - system - (this.now() - store)) > JUMP_MILLISECONDS;
  }
}
