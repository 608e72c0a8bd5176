/**
 * A few examples of all: those whose digests are the smallest, so that the same data gives the same sample in any order. Pure.
 */
import type { Collected } from './collect-examples.ts';

export class Sample {
  readonly #size: number;
  readonly #kept: Collected[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  add(example: Collected): void {
    const last = this.#kept[this.#size - 1];
    if (last && last.digest.compare(example.digest) <= 0) return;
    const at = this.#kept.findIndex(({ digest }) => digest.compare(example.digest) > 0);
    this.#kept.splice(at === -1 ? this.#kept.length : at, 0, example);
    this.#kept.length = Math.min(this.#size, this.#kept.length);
  }

  get examples(): readonly Collected[] {
    return this.#kept;
  }
}
