/**
 * `GET /ws/chat`: opens a WebSocket whose turns are each a request of their own, under the same rules as one by HTTP: its key is looked at
 * again, it is counted, limited and logged. Knows nothing of frames.
 */
import { CHAT_PROTOCOL, type ChatTurnEnd, MOST_MESSAGE_BYTES } from '@slipway/shared/contracts/chat-socket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError } from '@slipway/shared/http/request-context.ts';
import { CLIENT_CLOSED_REQUEST } from '@slipway/shared/http/unless-gone.ts';
import { socketOpener } from '@slipway/shared/sockets/telling-socket.ts';
import { answeredError, type Handshake, handshakeOf } from '@slipway/shared/sockets/upgrades.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { ChatSocket } from '../../sockets/chat-socket.ts';
import { type SocketTurn, SocketTurns } from '../../sockets/socket-turns.ts';
import { askOverSocket } from './socket-turn.ts';

export function chatSocketRoute(parts: ServiceParts): Route {
  const { config, inFlight, sockets, unsent, log } = parts;
  const open = socketOpener({ protocol: CHAT_PROTOCOL, mostMessageBytes: MOST_MESSAGE_BYTES });
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

async function answerTurn(
  { log }: ServiceParts,
  handshake: Handshake,
  connection: string,
  turn: SocketTurn,
  body: object,
): Promise<ChatTurnEnd> {
  const request = handshake.request('/ws/chat', turn.signal);
  try {
    const answered = askOverSocket(request, { connection, body, onDelta: (delta) => turn.say(delta) });
    const response = await handshake.dispatch(request, { incoming: handshake.incoming });
    const answer = answered();
    if (answer !== undefined) return { type: 'done', ...answer };
    return response.status === CLIENT_CLOSED_REQUEST
      ? { type: 'cancelled' }
      : { type: 'error', ...(await answeredError(response)) };
  } catch (error) {
    describeError(error, connection, log);
    return { type: 'error', ...errorBody(error, connection) };
  }
}
