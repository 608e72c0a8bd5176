/**
 * Counts the requests that are being answered, and lets no new ones in once draining has begun.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

const DRAINING_RETRY_AFTER = 5;

export class InFlight {
  #count = 0;
  #draining = false;
  readonly #emptied = Promise.withResolvers<void>();

  get draining(): boolean {
    return this.#draining;
  }

  get count(): number {
    return this.#count;
  }

  /** Gives the function that ends it. AppError draining when no more are taken. */
  enter(): () => void {
    if (this.#draining) {
      throw new AppError('draining', 'this instance is shutting down; send the request again', {
        retryAfter: DRAINING_RETRY_AFTER,
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
