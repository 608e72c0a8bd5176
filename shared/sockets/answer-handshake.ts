/**
 * A route's answer to a handshake: the connection itself, which is counted, told to leave and cut off like every other. Knows nothing of
 * what is said over it.
 */
import type { Context } from 'hono';
import { AppError } from '../contracts/errors.ts';
import type { RequestEnvironment } from '../http/request-context.ts';
import type { UnsentAnswers } from '../http/unsent-answers.ts';
import type { Logger } from '../lib/log.ts';
import type { OpenSocket, OpenSockets } from './open-sockets.ts';
import type { socketOpener, TellingSocket } from './telling-socket.ts';
import { type Handshake, handshakeOf } from './upgrades.ts';

export interface SocketHouse {
  readonly sockets: OpenSockets;
  readonly unsent: UnsentAnswers;
  readonly log: Logger;
}

/** AppError upgrade_required, which says `instead`, for a request that is none. */
export function requireHandshake(context: Context<RequestEnvironment>, instead: string): Handshake {
  const handshake = handshakeOf(context.req.raw);
  if (handshake !== undefined) return handshake;
  context.header('Upgrade', 'websocket');
  throw new AppError('upgrade_required', instead);
}

/** `begin` is called with the socket once it is open. AppError overloaded when there is no room for another. */
export function answerHandshake(
  context: Context<RequestEnvironment>,
  handshake: Handshake,
  open: ReturnType<typeof socketOpener>,
  { sockets, unsent, log }: SocketHouse,
  begin: (socket: TellingSocket) => OpenSocket,
): Response {
  sockets.requireRoom();
  const requestId = context.get('requestId');
  let status = 400;
  open(handshake, requestId, (socket, connection) => {
    status = 101;
    const begun = begin(socket);
    const onCut = () => log.info({ request_id: requestId, cut_off: 'the reader was too slow' }, 'socket');
    unsent.follow(connection, { queuedBytes: () => 0, onCut });
    socket.once('close', sockets.enter(begun));
  });
  context.set('logged', { ...context.get('logged'), status });
  return context.body(null);
}
