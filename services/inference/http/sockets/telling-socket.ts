/**
 * A WebSocket that says why before it is closed for what its peer did: `ws` by itself closes with a number. Knows nothing of what is said
 * over it otherwise.
 */
import type { Duplex } from 'node:stream';
import { CHAT_PROTOCOL, type ChatSocketEvent, MOST_MESSAGE_BYTES } from '@slipway/shared/contracts/chat-socket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { errorBody } from '@slipway/shared/http/error-response.ts';
import { WebSocket, WebSocketServer } from 'ws';
import type { Handshake } from './upgrades.ts';

/** By the codes of RFC 6455 with which `ws` ends what it cannot read. */
const REFUSALS: Readonly<Record<number, AppError>> = {
  1002: new AppError('malformed_request', 'these bytes are no WebSocket frame'),
  1007: new AppError('invalid_json', 'a text message must be UTF-8'),
  1009: new AppError('body_too_large', `a message may have at most ${MOST_MESSAGE_BYTES} bytes`),
};

export class TellingSocket extends WebSocket {
  /** Of the handshake. */
  requestId = '';

  override close(code?: number, reason?: string | Buffer): void {
    // Where the peer or we say it, there is a reason, if only an empty one.
    const refusal = reason === undefined && code !== undefined ? REFUSALS[code] : undefined;
    if (refusal !== undefined) {
      this.send(JSON.stringify({ type: 'error', ...errorBody(refusal, this.requestId) } satisfies ChatSocketEvent));
    }
    super.close(code, refusal?.message ?? reason);
  }
}

const OPTIONS = {
  noServer: true,
  clientTracking: false,
  WebSocket: TellingSocket,
  maxPayload: MOST_MESSAGE_BYTES,
  handleProtocols: (offered: ReadonlySet<string>) => offered.has(CHAT_PROTOCOL) && CHAT_PROTOCOL,
  // How long a peer may take to say good-bye, with what it has not read yet. The types do not know it yet.
  closeTimeout: 15_000,
};

/** A handshake that is wrong is refused by `ws` itself; then nothing is opened. */
export function socketOpener(): (
  handshake: Handshake,
  requestId: string,
  onOpen: (socket: TellingSocket, connection: Duplex) => void,
) => void {
  const server = new WebSocketServer(OPTIONS);
  return (handshake, requestId, onOpen) => {
    const connection = handshake.take();
    server.handleUpgrade(handshake.incoming, connection, handshake.head, (socket) => {
      socket.requestId = requestId;
      onOpen(socket, connection);
    });
  };
}
