/**
 * A WebSocket that says why before it is closed for what its peer did: `ws` by itself closes with a number. Knows nothing of what is said
 * over it otherwise.
 */
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { AppError } from '../contracts/errors.ts';
import { errorBody } from '../http/error-response.ts';
import type { Handshake } from './upgrades.ts';

/** What may wait for a reader at any moment; how long, and how much for all of them, is bounded with other answers. */
const MOST_UNREAD_BYTES = 4 * 2 ** 20;

export class TellingSocket extends WebSocket {
  /** Of the handshake. */
  requestId = '';
  mostMessageBytes = 0;

  /** At once, whatever waits already: a peer that asks and does not read is let go. */
  tell(event: object): void {
    if (this.bufferedAmount > MOST_UNREAD_BYTES) this.terminate();
    else this.send(JSON.stringify(event));
  }

  override close(code?: number, reason?: string | Buffer): void {
    // Where the peer or we say it, there is a reason, if only an empty one.
    const refusal = reason === undefined ? refusalOf(code, this.mostMessageBytes) : undefined;
    if (refusal !== undefined) this.send(JSON.stringify({ type: 'error', ...errorBody(refusal, this.requestId) }));
    super.close(code, refusal?.message ?? reason);
  }
}

/** By the codes of RFC 6455 with which `ws` ends what it cannot read. */
function refusalOf(code: number | undefined, mostMessageBytes: number): AppError | undefined {
  if (code === 1002) return new AppError('malformed_request', 'these bytes are no WebSocket frame');
  if (code === 1007) return new AppError('invalid_json', 'a text message must be UTF-8');
  if (code === 1009) return new AppError('body_too_large', `a message may have at most ${mostMessageBytes} bytes`);
}

export interface SocketProtocol {
  /** What a client that offers subprotocols must offer; the service answers with it. */
  readonly protocol: string;
  /** Of what a peer sends. */
  readonly mostMessageBytes: number;
}

/** How long a peer may take to say good-bye, with what it has not read yet. */
const CLOSE_MILLISECONDS = 15_000;

/** A handshake that is wrong is refused by `ws` itself; then nothing is opened. */
export function socketOpener({
  protocol,
  mostMessageBytes,
}: SocketProtocol): (
  handshake: Handshake,
  requestId: string,
  onOpen: (socket: TellingSocket, connection: Duplex) => void,
) => void {
  const options = {
    noServer: true,
    clientTracking: false,
    WebSocket: TellingSocket,
    maxPayload: mostMessageBytes,
    handleProtocols: (offered: ReadonlySet<string>) => offered.has(protocol) && protocol,
    // The types do not know it yet.
    closeTimeout: CLOSE_MILLISECONDS,
  };
  const server = new WebSocketServer(options);
  return (handshake, requestId, onOpen) => {
    const connection = handshake.take();
    server.handleUpgrade(handshake.incoming, connection, handshake.head, (socket) => {
      socket.requestId = requestId;
      socket.mostMessageBytes = mostMessageBytes;
      onOpen(socket, connection);
    });
  };
}
