/**
 * Everything that was left out and why: written to a file as it comes, counted by reason, the first kept for people. Memory does not grow
 * with their number.
 */
import type { HashedFile } from '../hashed-file.ts';
import type { Rejected } from './collect-examples.ts';

const KEPT = 20;
/** Reasons that differ in more than numbers and quotes are few. */
const MOST_REASONS = 50;

export class Rejections {
  readonly #file: HashedFile | null;
  readonly first: Rejected[] = [];
  readonly reasons = new Map<string, number>();
  count = 0;
  #pending: Rejected[] = [];

  constructor(file: HashedFile | null) {
    this.#file = file;
  }

  add(rejected: Rejected): void {
    this.count++;
    if (this.first.length < KEPT) this.first.push(rejected);
    const kind = rejected.reason.replaceAll(/\d+/g, 'N');
    const known = this.reasons.has(kind) || this.reasons.size < MOST_REASONS ? kind : 'other reasons';
    this.reasons.set(known, (this.reasons.get(known) ?? 0) + 1);
    if (this.#file) this.#pending.push(rejected);
  }

  /** To be called now and then: `add` cannot wait for the disk. */
  async flush(): Promise<void> {
    const lines = this.#pending.map((rejected) => `${JSON.stringify(rejected)}\n`).join('');
    this.#pending = [];
    await this.#file?.write(Buffer.from(lines));
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
  }

  /** Closes the file without what was not written yet. */
  async abandon(): Promise<void> {
    await this.#file?.abandon();
  }
}
