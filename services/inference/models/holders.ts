/**
 * Counts who uses a model, so that one that has been replaced can be ended when nobody does.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export class Holders {
  #count = 0;
  #emptied: (() => void) | undefined;

  get count(): number {
    return this.#count;
  }

  /** Gives the function that lets go; calling it twice is calling it once. */
  hold(): () => void {
    this.#count++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#count === 0) this.#emptied?.();
    };
  }

  /** Resolves when nobody holds it, and with false when somebody still does after `seconds` or at `signal`. */
  async emptied(seconds: number, signal: AbortSignal): Promise<boolean> {
    if (this.#count === 0) return true;
    const done = new AbortController();
    const empty = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    const late = sleep(seconds * 1000, undefined, { signal: AbortSignal.any([signal, done.signal]) }).catch(() => {});
    await Promise.race([empty, late]);
    done.abort();
    return this.#count === 0;
  }
}
