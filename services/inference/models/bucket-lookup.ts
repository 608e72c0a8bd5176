/**
 * Whether the buckets have what a request names. Answers of the last second are given again, so that a client which keeps asking for
 * what is not there does not become a load on the store.
 */
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import type { Reference } from '@slipway/shared/bucket/keys.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { textOf } from './which-model.ts';

const KEPT_MILLISECONDS = 1000;
const KEPT_ANSWERS = 256;

export class BucketLookup {
  readonly #buckets: readonly Bucket[];
  readonly #answers = new Map<string, { readonly at: number; readonly has: Promise<boolean> }>();

  constructor(buckets: readonly Bucket[]) {
    this.#buckets = buckets;
  }

  /** Rejects with the AppError of a bucket that cannot be read. */
  has(reference: Reference): Promise<boolean> {
    const name = textOf(reference);
    const now = performance.now();
    const known = this.#answers.get(name);
    if (known !== undefined && now - known.at < KEPT_MILLISECONDS) return known.has;
    if (this.#answers.size >= KEPT_ANSWERS) this.#answers.clear();
    const has = this.#look(name);
    this.#answers.set(name, { at: now, has });
    has.catch(() => this.#answers.delete(name));
    return has;
  }

  async #look(name: string): Promise<boolean> {
    for (const bucket of this.#buckets) {
      try {
        await bucket.resolve(name);
        return true;
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
      }
    }
    return false;
  }
}
