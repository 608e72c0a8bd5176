/**
 * Everything that was left out and why: written to a file as it comes, counted by reason, the first kept for people. Memory does not grow
 * with their number.
 */
import type { HashedFile } from '../hashed-file.ts';
import type { Rejected } from './collect-examples.ts';

const KEPT = 20;
const PLACES = 3;
/** Reasons that differ in more than numbers are few. */
const MOST_REASONS = 50;

/** One reason, whatever numbers it names. */
export interface Reason {
  /** As it was said the first time. */
  readonly reason: string;
  count: number;
  /** The first few of them. */
  readonly places: Pick<Rejected, 'file' | 'line'>[];
}

export class Rejections {
  readonly #file: HashedFile | null;
  readonly #reasons = new Map<string, Reason>();
  #pending: Rejected[] = [];
  readonly first: Rejected[] = [];
  count = 0;

  constructor(file: HashedFile | null) {
    this.#file = file;
  }

  add(rejected: Rejected): void {
    this.count++;
    if (this.first.length < KEPT) this.first.push(rejected);
    if (this.#file) this.#pending.push(rejected);
    const { file, line, reason } = rejected;
    const kind = reason.replaceAll(/\d+/g, 'N');
    const key = this.#reasons.has(kind) || this.#reasons.size < MOST_REASONS ? kind : 'other reasons';
    const known = this.#reasons.get(key) ?? { reason: key === kind ? reason : key, count: 0, places: [] };
    this.#reasons.set(key, known);
    known.count++;
    const last = known.places.at(-1);
    const isAnother = last?.file !== file || last.line !== line;
    if (isAnother && known.places.length < PLACES) known.places.push({ file, line });
  }

  /** The most frequent first. */
  reasons(): Reason[] {
    return [...this.#reasons.values()].toSorted((a, b) => b.count - a.count);
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
