/**
 * The WebSockets that are open: how many there may be, and how all are told to leave. Knows nothing of what is said over them, so that it
 * costs nothing where none is ever opened.
 */
import { AppError } from '../contracts/errors.ts';

export interface OpenSocket {
  /** Closes it when what was asked over it has been answered. */
  goAway(): void;
  destroy(): void;
}

const RETRY_AFTER = 5;
/** Of all connections, so that the others always find room. */
const SHARE = 1 / 4;

export class OpenSockets {
  readonly #limit: number;
  readonly #sockets = new Set<OpenSocket>();

  constructor(maxConnections: number) {
    this.#limit = Math.ceil(maxConnections * SHARE);
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** AppError overloaded when there is no room for another. */
  requireRoom(): void {
    if (this.#sockets.size < this.#limit) return;
    throw new AppError('overloaded', `${this.#limit} WebSockets are open, which is all there may be; try again soon`, {
      retryAfter: RETRY_AFTER,
    });
  }

  /** Gives the function that ends it. */
  enter(socket: OpenSocket): () => void {
    this.#sockets.add(socket);
    return () => void this.#sockets.delete(socket);
  }

  goAway(): void {
    for (const socket of this.#sockets) socket.goAway();
  }

  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
