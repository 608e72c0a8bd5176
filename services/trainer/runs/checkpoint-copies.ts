/**
 * Copies of a run's checkpoints in its bucket, made while it goes on: one at a time, the newest first. What fails is told, and changes
 * nothing: the checkpoints here are whole. Knows not what is copied.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface CopyOptions {
  readonly copy: (checkpoint: string) => Promise<void>;
  /** In words, why there is no copy. */
  readonly onFailure: (why: string) => void;
  /** How long the end of a run waits for a bucket that does not answer. */
  readonly patienceMilliseconds?: number;
}

const PATIENCE_MILLISECONDS = 10 * 60_000;

export class CheckpointCopies {
  readonly #options: CopyOptions;
  #next: string | undefined;
  #copying: Promise<void> | undefined;
  #isOver = false;

  constructor(options: CopyOptions) {
    this.#options = options;
  }

  /** Its folder. One that waits for its turn is passed over for it. */
  offer(checkpoint: string): void {
    this.#next = checkpoint;
    this.#copying ??= this.#copyAll();
  }

  /** What is under way comes to its end; nothing more begins or is told. */
  abandon(): void {
    this.#isOver = true;
  }

  /** Waits for the newest; afterwards nothing is told any more. */
  async settled(): Promise<void> {
    const { patienceMilliseconds = PATIENCE_MILLISECONDS } = this.#options;
    const given = new AbortController();
    const late = sleep(patienceMilliseconds, 'late', { signal: given.signal }).catch(() => undefined);
    if ((await Promise.race([this.#copying, late])) === 'late') this.#tell('the bucket does not answer');
    given.abort();
    this.abandon();
  }

  async #copyAll(): Promise<void> {
    while (this.#next !== undefined && !this.#isOver) {
      const checkpoint = this.#next;
      this.#next = undefined;
      try {
        await this.#options.copy(checkpoint);
      } catch (error) {
        // With a newer one at hand it does not matter; often the kernel has just removed this one.
        if (this.#next === undefined) this.#tell(error instanceof Error ? error.message : String(error));
      }
    }
    this.#copying = undefined;
  }

  #tell(why: string): void {
    if (!this.#isOver) this.#options.onFailure(why);
  }
}
