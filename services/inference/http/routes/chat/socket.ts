/**
 * `GET /ws/chat`: opens a WebSocket whose turns are each a request of their own, under the same rules as one by HTTP: its key is looked at
 * again, it is counted, limited and logged. Knows nothing of frames.
 */
import type { ChatTurnEnd } from '@slipway/shared/contracts/chat-socket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError } from '@slipway/shared/http/request-context.ts';
import { CLIENT_CLOSED_REQUEST } from '@slipway/shared/http/unless-gone.ts';
import { z } from 'zod';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { ChatSocket } from '../../sockets/chat-socket.ts';
import { type SocketTurn, SocketTurns } from '../../sockets/socket-turns.ts';
import { socketOpener } from '../../sockets/telling-socket.ts';
import { type Handshake, handshakeOf } from '../../sockets/upgrades.ts';
import { askOverSocket } from './socket-turn.ts';

export function chatSocketRoute(parts: ServiceParts): Route {
  const { config, inFlight, sockets, unsent, log } = parts;
  const open = socketOpener();
  const turns = new SocketTurns(config.resumeSeconds);
  return (context) => {
    const handshake = handshakeOf(context.req.raw);
    if (handshake === undefined) {
      context.header('Upgrade', 'websocket');
      throw new AppError(
        'upgrade_required',
        '/ws/chat is a WebSocket; over HTTP there is POST /api/v1/chat/completions',
      );
    }
    // AppError draining or overloaded, as for every other request.
    inFlight.enter()();
    sockets.requireRoom();
    const requestId = context.get('requestId');
    let status = 400;
    open(handshake, requestId, (socket, connection) => {
      status = 101;
      const { name: owner } = context.get('principal');
      const answer = (turn: SocketTurn, body: object) => answerTurn(parts, handshake, requestId, turn, body);
      const { heartbeatSeconds } = config;
      const chat = new ChatSocket(socket, { turns, owner, requestId, log, heartbeatSeconds, answer });
      const onCut = () => log.info({ request_id: requestId, cut_off: 'the reader was too slow' }, 'socket');
      unsent.follow(connection, { queuedBytes: () => 0, onCut });
      socket.once('close', sockets.enter(chat));
    });
    context.set('logged', { ...context.get('logged'), status });
    return context.body(null);
  };
}

/** Of the handshake those that are not the turn's. */
const HANDSHAKE_HEADERS = /^(connection|upgrade|x-request-id|sec-websocket-.*)$/;

async function answerTurn(
  { log }: ServiceParts,
  { asked, incoming, dispatch }: Handshake,
  connection: string,
  turn: SocketTurn,
  body: object,
): Promise<ChatTurnEnd> {
  const headers = [...asked.headers].filter(([name]) => !HANDSHAKE_HEADERS.test(name));
  const request = new Request(asked.url, { method: 'POST', headers, signal: turn.signal });
  try {
    const answered = askOverSocket(request, { connection, body, onDelta: (delta) => turn.say(delta) });
    const response = await dispatch(request, { incoming });
    const answer = answered();
    if (answer !== undefined) return { type: 'done', ...answer };
    return response.status === CLIENT_CLOSED_REQUEST ? { type: 'cancelled' } : await errorIn(response);
  } catch (error) {
    describeError(error, connection, log);
    return { type: 'error', ...errorBody(error, connection) };
  }
}

const ERROR = z.object({ error: z.object({ code: z.string(), message: z.string(), request_id: z.string() }) });

async function errorIn(response: Response): Promise<ChatTurnEnd> {
  const retryAfter = response.headers.get('retry-after');
  const { error } = ERROR.parse(await response.json());
  return { type: 'error', error, ...(retryAfter === null ? {} : { retry_after: Number(retryAfter) }) };
}
