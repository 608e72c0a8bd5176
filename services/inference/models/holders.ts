/**
 * Counts who uses a model and knows when somebody last did, so that one that has been replaced can be ended when nobody does.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

export class Holders {
  #count = 0;
  readonly #waiting = new Set<() => void>();
  #lastUsedAt = performance.now();

  get count(): number {
    return this.#count;
  }

  /** As performance.now() has it; when it was opened, while nobody has. */
  get lastUsedAt(): number {
    return this.#count > 0 ? performance.now() : this.#lastUsedAt;
  }

  /** Gives the function that lets go; calling it twice is calling it once. */
  hold(): () => void {
    this.#count++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#lastUsedAt = performance.now();
      if (--this.#count === 0) for (const tell of this.#waiting) tell();
    };
  }

  /** Resolves when nobody holds it, and with false when somebody still does after `seconds` or at `signal`. */
  async emptied(seconds: number, signal: AbortSignal): Promise<boolean> {
    // Who has just been given it has it in hand by then.
    await nextTurn();
    if (this.#count === 0) return true;
    const done = new AbortController();
    const empty = Promise.withResolvers<void>();
    this.#waiting.add(empty.resolve);
    const late = sleep(seconds * 1000, undefined, { signal: AbortSignal.any([signal, done.signal]) }).catch(() => {});
    await Promise.race([empty.promise, late]);
    this.#waiting.delete(empty.resolve);
    done.abort();
    return this.#count === 0;
  }
}
