/**
 * One WebSocket over which a run is followed: its events sent as fast as the reader takes them, what is wanted of it taken. Knows nothing of
 * where events come from, nor of how a wish is fulfilled.
 */
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError } from '@slipway/shared/http/request-context.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { hearPeer } from '@slipway/shared/sockets/hear-peer.ts';
import type { OpenSocket } from '@slipway/shared/sockets/open-sockets.ts';
import type { TellingSocket } from '@slipway/shared/sockets/telling-socket.ts';
import type { FeedEvent } from '../event-feed.ts';
import { parseTrainingMessage, type RunWish, type TrainingSocketEvent } from './training-message.ts';

export interface TrainingSocketOptions {
  /** Of the handshake. */
  readonly requestId: string;
  readonly log: Logger;
  readonly heartbeatSeconds: number;
  /** Resolves with what became of it, whatever happens. */
  readonly ask: (wish: RunWish) => Promise<TrainingSocketEvent>;
}

const NORMAL = 1000;
const GOING_AWAY = 1001;
const INTERNAL_ERROR = 1011;

export class TrainingSocket implements OpenSocket {
  readonly #socket: TellingSocket;
  readonly #options: TrainingSocketOptions;
  readonly #gone = new AbortController();
  #isLeaving = false;

  constructor(socket: TellingSocket, options: TrainingSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    hearPeer(socket, {
      heartbeatSeconds: options.heartbeatSeconds,
      parse: parseTrainingMessage,
      take: ({ type }) => {
        if (type === 'ping') this.#tell({ type: 'pong' });
        else void options.ask(type).then((answer) => this.#tell(answer));
      },
      refuse: (error) => this.#tell({ type: 'error', ...errorBody(error, options.requestId) }),
    });
    socket.once('close', () => this.#gone.abort());
  }

  /** Aborts when nothing more is wanted: the socket is closed, or the service leaves. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Until the feed ends, which ends the socket. */
  async follow(feed: AsyncGenerator<readonly FeedEvent[]>): Promise<void> {
    const { requestId, log } = this.#options;
    try {
      for await (const events of feed) for (const { data } of events) await this.#send(data);
      if (this.#isLeaving) this.#socket.close(GOING_AWAY, 'this instance is shutting down');
      else this.#socket.close(NORMAL, 'the run has ended');
    } catch (error) {
      describeError(error, requestId, log);
      await this.#send(JSON.stringify({ type: 'error', ...errorBody(error, requestId) }));
      this.#socket.close(INTERNAL_ERROR, 'the events cannot be read');
    }
  }

  goAway(): void {
    this.#isLeaving = true;
    this.#gone.abort();
  }

  destroy(): void {
    this.#socket.terminate();
  }

  #tell(event: TrainingSocketEvent): void {
    this.#socket.tell(event);
  }

  /** Resolves when the connection has taken it, or is gone. */
  #send(text: string): Promise<void> {
    return new Promise((resolve) => this.#socket.send(text, () => resolve()));
  }
}
