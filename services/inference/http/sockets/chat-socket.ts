/**
 * One WebSocket over which is chatted: its messages taken, its turns' events sent. Knows nothing of how a turn is answered, nor
 * what becomes of one whose listener has gone.
 */
import {
  type ChatSocketEvent,
  type ChatSocketMessage,
  type ChatTurnEnd,
  parseSocketMessage,
} from '@slipway/shared/contracts/chat-socket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError } from '@slipway/shared/http/request-context.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { hearPeer } from '@slipway/shared/sockets/hear-peer.ts';
import type { OpenSocket } from '@slipway/shared/sockets/open-sockets.ts';
import type { TellingSocket } from '@slipway/shared/sockets/telling-socket.ts';
import type { SocketTurn, SocketTurns, TurnListener } from './socket-turns.ts';

export interface ChatSocketOptions {
  readonly turns: SocketTurns;
  /** Whose turns it may begin, hear and cancel. */
  readonly owner: string;
  /** Of the handshake. */
  readonly requestId: string;
  readonly log: Logger;
  readonly heartbeatSeconds: number;
  /** Resolves with how it ended, whatever happens. */
  readonly answer: (turn: SocketTurn, body: object) => Promise<ChatTurnEnd>;
}

const GOING_AWAY = 1001;

export class ChatSocket implements OpenSocket, TurnListener {
  readonly #socket: TellingSocket;
  readonly #options: ChatSocketOptions;
  /** Those that are being answered to it. */
  readonly #turns = new Set<SocketTurn>();
  #isLeaving = false;

  constructor(socket: TellingSocket, options: ChatSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    hearPeer(socket, {
      heartbeatSeconds: options.heartbeatSeconds,
      parse: parseSocketMessage,
      take: (message) => this.#take(message),
      refuse: (error) => this.#refuse(error),
    });
    socket.once('close', () => {
      for (const turn of this.#turns) options.turns.leave(turn, this);
      this.#turns.clear();
    });
  }

  goAway(): void {
    this.#isLeaving = true;
    if (this.#turns.size === 0) this.#socket.close(GOING_AWAY, 'this instance is shutting down');
  }

  destroy(): void {
    this.#socket.terminate();
  }

  hear(turn: SocketTurn, event: ChatSocketEvent): void {
    this.#send(event);
    if (event.type === 'accepted' || event.type === 'delta') return;
    this.#turns.delete(turn);
    if (this.#isLeaving) this.goAway();
  }

  #take(message: ChatSocketMessage): void {
    try {
      if (message.type === 'ping') this.#send({ type: 'pong' });
      else if (message.type === 'chat') this.#begin(message.turn, message.body);
      else if (message.type === 'cancel') this.#find(message.turn).cancel();
      else this.#resume(this.#find(message.turn), message.after);
    } catch (error) {
      this.#refuse(error, 'turn' in message ? message.turn : undefined);
    }
  }

  #begin(id: string | undefined, body: object): void {
    const { turns, owner, answer } = this.#options;
    const turn = turns.begin(owner, id, this);
    this.#turns.add(turn);
    this.#send({ type: 'accepted', turn: turn.id });
    void answer(turn, body).then((end) => turns.end(turn, end));
  }

  #resume(turn: SocketTurn, after: number): void {
    const before = this.#options.turns.resume(turn, this, after);
    if (turn.end === undefined) this.#turns.add(turn);
    const taken = new AppError('conflict', `turn ${turn.id} is heard over another connection now`);
    before?.hear(turn, { type: 'error', turn: turn.id, ...errorBody(taken, this.#options.requestId) });
  }

  #find(id: string): SocketTurn {
    return this.#options.turns.find(this.#options.owner, id);
  }

  #refuse(error: unknown, turn?: string): void {
    const { requestId, log } = this.#options;
    log.debug({ request_id: requestId, ...describeError(error, requestId, log) }, 'a message was refused');
    this.#send({ type: 'error', ...(turn === undefined ? {} : { turn }), ...errorBody(error, requestId) });
  }

  #send(event: ChatSocketEvent): void {
    this.#socket.tell(event);
  }
}
