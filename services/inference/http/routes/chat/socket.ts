/**
 * `GET /ws/chat`: opens a WebSocket whose turns are each a request of their own, under the same rules as one by HTTP: its key is looked at
 * again, it is counted, limited and logged. Knows nothing of frames.
 */
import { CHAT_PROTOCOL, type ChatTurnEnd, MOST_MESSAGE_BYTES } from '@slipway/shared/contracts/chat-socket.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { describeError } from '@slipway/shared/http/request-context.ts';
import { CLIENT_CLOSED_REQUEST } from '@slipway/shared/http/unless-gone.ts';
import { answerHandshake, requireHandshake } from '@slipway/shared/sockets/answer-handshake.ts';
import { socketOpener } from '@slipway/shared/sockets/telling-socket.ts';
import { answeredError, type Handshake } from '@slipway/shared/sockets/upgrades.ts';
import type { Route, ServiceParts } from '../../service-parts.ts';
import { ChatSocket } from '../../sockets/chat-socket.ts';
import { type SocketTurn, SocketTurns } from '../../sockets/socket-turns.ts';
import { askOverSocket } from './socket-turn.ts';

export function chatSocketRoute(parts: ServiceParts): Route {
  const { config, inFlight, log } = parts;
  const open = socketOpener({ protocol: CHAT_PROTOCOL, mostMessageBytes: MOST_MESSAGE_BYTES });
  const turns = new SocketTurns(config.resumeSeconds);
  return (context) => {
    const instead = '/ws/chat is a WebSocket; over HTTP there is POST /api/v1/chat/completions';
    const handshake = requireHandshake(context, instead);
    // AppError draining or overloaded, as for every other request.
    inFlight.enter()();
    const requestId = context.get('requestId');
    return answerHandshake(context, handshake, open, parts, (socket) => {
      const { name: owner } = context.get('principal');
      const answer = (turn: SocketTurn, body: object) => answerTurn(parts, handshake, requestId, turn, body);
      const { heartbeatSeconds } = config;
      return new ChatSocket(socket, { turns, owner, requestId, log, heartbeatSeconds, answer });
    });
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
