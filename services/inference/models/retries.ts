/**
 * When what could not be loaded may be tried again: after pauses that grow with every failure of the same name. Knows nothing of loading.
 */

const FIRST_PAUSE = 2000;
const LONGEST_PAUSE = 600_000;

interface Failure {
  readonly times: number;
  readonly pause: number;
  readonly retryAt: number;
}

export class Retries {
  readonly #failures = new Map<string, Failure>();
  readonly #now: () => number;

  /** `now`: in milliseconds, of a clock that does not jump. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Gives the pause in milliseconds. `mayChangeSoon`: it does not grow. */
  failed(name: string, mayChangeSoon: boolean): number {
    const times = mayChangeSoon ? 1 : (this.#failures.get(name)?.times ?? 0) + 1;
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (times - 1));
    this.#failures.set(name, { times, pause, retryAt: this.#now() + pause });
    return pause;
  }

  /** Whether it has failed and its pause is not over. */
  mustWait(name: string): boolean {
    return this.#now() < (this.#failures.get(name)?.retryAt ?? 0);
  }

  /** Milliseconds; undefined when it has not failed, or when that has been forgotten. */
  pauseOf(name: string): number | undefined {
    return this.#failures.get(name)?.pause;
  }

  forget(name: string): void {
    this.#failures.delete(name);
  }
}
