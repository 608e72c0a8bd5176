/**
 * The request bodies that are on their way. Bounds how much memory they may come to take together, and cuts off the slowest when others need
 * the room: who dribbles bytes keeps nobody out. Knows nothing of what they say.
 */
import { AppError } from '../contracts/errors.ts';

/** Of a client that means it, a body of the usual size is there by then. */
const GRACE_MILLISECONDS = 2000;
const RETRY_AFTER = 1;

interface Reader {
  bytes: number;
  readonly since: number;
  readonly cut: () => void;
}

export class BodyReaders {
  readonly #mostBytes: number;
  readonly #now: () => number;
  /** The oldest first. */
  readonly #readers = new Set<Reader>();
  #bytes = 0;

  /** `now`: milliseconds on a clock that does not jump. */
  constructor(mostBytes: number, now: () => number) {
    this.#mostBytes = mostBytes;
    this.#now = now;
  }

  /** `read` tells by `grow` how much it holds or will hold; that throws AppError overloaded. AppError request_timeout when it was cut off. */
  async read<T>(read: (grow: (bytes: number) => void) => Promise<T>): Promise<T> {
    const { promise: wasCut, reject } = Promise.withResolvers<never>();
    const reader: Reader = {
      bytes: 0,
      since: this.#now(),
      cut: () => reject(new AppError('request_timeout', 'the body came too slowly, and others wait; send it again')),
    };
    this.#readers.add(reader);
    try {
      return await Promise.race([read((bytes) => this.#grow(reader, bytes)), wasCut]);
    } finally {
      this.#remove(reader);
    }
  }

  /** Of those that have had time enough the one that has had most; false when there is none. */
  cutSlowest(): boolean {
    const [oldest] = this.#readers;
    if (oldest === undefined || this.#now() - oldest.since < GRACE_MILLISECONDS) return false;
    this.#remove(oldest);
    oldest.cut();
    return true;
  }

  #grow(reader: Reader, bytes: number): void {
    if (!this.#readers.has(reader)) return;
    this.#bytes += bytes - reader.bytes;
    reader.bytes = bytes;
    while (this.#bytes > this.#mostBytes) {
      if (!this.cutSlowest()) {
        throw new AppError('overloaded', 'too much is being sent at once; try again soon', { retryAfter: RETRY_AFTER });
      }
    }
  }

  #remove(reader: Reader): void {
    if (this.#readers.delete(reader)) this.#bytes -= reader.bytes;
  }
}
