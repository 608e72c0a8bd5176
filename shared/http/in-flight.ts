/**
 * Counts the requests that are being answered. Lets none in beyond a limit, and no new ones once draining has begun.
 */
import { AppError } from '../contracts/errors.ts';

const DRAINING_RETRY_AFTER = 5;
const BUSY_RETRY_AFTER = 1;

export class InFlight {
  readonly #limit: number;
  readonly #makeRoom: () => boolean;
  #count = 0;
  #draining = false;
  readonly #emptied = Promise.withResolvers<void>();

  /** `makeRoom`: asked before one is refused; true when another has been told to leave. */
  constructor(limit: number, makeRoom: () => boolean) {
    this.#limit = limit;
    this.#makeRoom = makeRoom;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get count(): number {
    return this.#count;
  }

  /** Gives the function that ends it. AppError draining or overloaded when no more are taken. */
  enter(): () => void {
    if (this.#draining) {
      throw new AppError('draining', 'this instance is shutting down; send the request again', {
        retryAfter: DRAINING_RETRY_AFTER,
      });
    }
    if (this.#count >= this.#limit && !this.#makeRoom()) {
      throw new AppError('overloaded', `${this.#count} requests are being read or answered; try again soon`, {
        retryAfter: BUSY_RETRY_AFTER,
      });
    }
    this.#count++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#count--;
      this.#settle();
    };
  }

  /** Resolves when the last request has been answered. */
  drain(): Promise<void> {
    this.#draining = true;
    this.#settle();
    return this.#emptied.promise;
  }

  #settle(): void {
    if (this.#draining && this.#count === 0) this.#emptied.resolve();
  }
}
