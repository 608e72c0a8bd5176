/**
 * One WebSocket over which is chatted: its messages taken, its turns' events sent, its peer asked whether it is still there. Knows nothing of
 * how a turn is answered, nor what becomes of one whose listener has gone.
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
import type { OpenSocket } from './open-sockets.ts';
import type { SocketTurn, SocketTurns, TurnListener } from './socket-turns.ts';
import type { TellingSocket } from './telling-socket.ts';

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
const POLICY_VIOLATION = 1008;
/** Messages that say nothing: who sends more of them does not mean it. */
const MOST_MISTAKES = 16;
/** What may wait for a reader at any moment; how long, and how much for all of them, is bounded with other answers. */
const MOST_UNREAD_BYTES = 4 * 2 ** 20;

export class ChatSocket implements OpenSocket, TurnListener {
  readonly #socket: TellingSocket;
  readonly #options: ChatSocketOptions;
  /** Those that are being answered to it. */
  readonly #turns = new Set<SocketTurn>();
  readonly #heartbeat: NodeJS.Timeout;
  #isHeard = true;
  #isLeaving = false;
  #mistakes = 0;

  constructor(socket: TellingSocket, options: ChatSocketOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatSeconds * 1000);
    socket.on('message', (data, isBinary) => {
      this.#isHeard = true;
      // What comes after a good-bye is not taken any more.
      if (socket.readyState === socket.OPEN) this.#take(isBinary ? undefined : String(data));
    });
    socket.on('pong', () => {
      this.#isHeard = true;
    });
    // It is closed then, and has been told why.
    socket.on('error', () => {});
    socket.once('close', () => {
      clearInterval(this.#heartbeat);
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

  #beat(): void {
    if (!this.#isHeard) this.#socket.terminate();
    else this.#socket.ping();
    this.#isHeard = false;
  }

  hear(turn: SocketTurn, event: ChatSocketEvent): void {
    this.#send(event);
    if (event.type === 'accepted' || event.type === 'delta') return;
    this.#turns.delete(turn);
    if (this.#isLeaving) this.goAway();
  }

  #take(text: string | undefined): void {
    let message: ChatSocketMessage;
    try {
      if (text === undefined) throw new AppError('malformed_request', 'a message must be text, and came as binary');
      message = parseSocketMessage(text);
    } catch (error) {
      this.#refuse(error);
      this.#mistakes += 1;
      if (this.#mistakes > MOST_MISTAKES) this.#socket.close(POLICY_VIOLATION, 'too many messages say nothing');
      return;
    }
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
    if (this.#socket.bufferedAmount > MOST_UNREAD_BYTES) this.#socket.terminate();
    else this.#socket.send(JSON.stringify(event));
  }
}
