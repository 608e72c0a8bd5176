/**
 * The other end of a WebSocket: its messages taken one by one, what says nothing refused, and asked whether it is still there. Knows nothing
 * of what messages are about.
 */
import { AppError } from '../contracts/errors.ts';
import type { TellingSocket } from './telling-socket.ts';

export interface PeerOptions<Message> {
  readonly heartbeatSeconds: number;
  /** Of a message's text. AppError for one that says nothing. */
  readonly parse: (text: string) => Message;
  readonly take: (message: Message) => void;
  readonly refuse: (error: unknown) => void;
}

const POLICY_VIOLATION = 1008;
/** Messages that say nothing: who sends more of them does not mean it. */
const MOST_MISTAKES = 16;

/** Until the socket is closed; who is dead is let go. */
export function hearPeer<Message>(socket: TellingSocket, options: PeerOptions<Message>): void {
  let isHeard = true;
  let mistakes = 0;
  const heartbeat = setInterval(() => {
    if (isHeard) socket.ping();
    else socket.terminate();
    isHeard = false;
  }, options.heartbeatSeconds * 1000);
  socket.on('message', (data, isBinary) => {
    isHeard = true;
    // What comes after a good-bye is not taken any more.
    if (socket.readyState !== socket.OPEN) return;
    let message: Message;
    try {
      if (isBinary) throw new AppError('malformed_request', 'a message must be text, and came as binary');
      message = options.parse(String(data));
    } catch (error) {
      options.refuse(error);
      mistakes += 1;
      if (mistakes > MOST_MISTAKES) socket.close(POLICY_VIOLATION, 'too many messages say nothing');
      return;
    }
    options.take(message);
  });
  socket.on('pong', () => {
    isHeard = true;
  });
  // It is closed then, and has been told why.
  socket.on('error', () => {});
  socket.once('close', () => clearInterval(heartbeat));
}
