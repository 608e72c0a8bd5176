/**
 * Talks to a service over a WebSocket by `ws`, mostly to its chat, and keeps all that it is told.
 */
import { once } from 'node:events';
import { type ClientOptions, WebSocket } from 'ws';
import { eventually } from './raw-client.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into events of every shape, right and wrong.
export type Event = any;

/** Greedy: the answer follows from all that the model is shown. */
const GREEDY = { temperature: 0, max_tokens: 8, min_new_tokens: 8 };

const CHAT = '/ws/chat';

export class SocketClient {
  readonly socket: WebSocket;
  readonly events: Event[] = [];
  /** With what code and reason it was closed. */
  readonly closed: Promise<[code: number, reason: string]>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.events.push(JSON.parse(String(data))));
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => resolve([code, String(reason)]));
    });
  }

  /** Rejects with the refusal's status and body. */
  static async open(
    url: string,
    options: ClientOptions = {},
    protocols: string[] = [],
    path = CHAT,
  ): Promise<SocketClient> {
    const socket = new WebSocket(addressOf(url, path), protocols, options);
    const refused = new Promise<never>((_, reject) => {
      socket.once('unexpected-response', (_request, response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => reject(new Refusal(response.statusCode ?? 0, body)));
      });
    });
    const client = new SocketClient(socket);
    await Promise.race([once(socket, 'open'), refused]);
    return client;
  }

  send(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends a turn; the events until its last come later. */
  chat(body: object, turn: string = crypto.randomUUID()): string {
    this.send({ type: 'chat', turn, ...GREEDY, ...body });
    return turn;
  }

  async ask(body: object): Promise<Event> {
    return this.end(this.chat(body));
  }

  /** A turn's last event, when it has come. */
  async end(turn: string): Promise<Event> {
    await eventually(
      () => this.of(turn).some(isLast),
      (is) => is,
      30_000,
    );
    return this.of(turn).find(isLast);
  }

  of(turn: string): Event[] {
    return this.events.filter((event) => event.turn === turn);
  }

  /** What a turn's deltas have said. */
  text(turn: string): string {
    return textOf(this.of(turn));
  }

  /** When so many events of any kind have come. */
  async hears(count: number): Promise<void> {
    await eventually(
      () => this.events.length,
      (length) => length >= count,
    );
  }
}

class Refusal extends Error {
  readonly status: number;
  readonly body: Event;

  constructor(status: number, body: string) {
    super(`${status} ${body}`);
    this.status = status;
    this.body = JSON.parse(body);
  }
}

export function addressOf(url: string, path = CHAT): string {
  return url.replace('http', 'ws') + path;
}

export function textOf(events: readonly Event[]): string {
  return events.map(({ type, response }) => (type === 'delta' ? response : '')).join('');
}

export function numbersOf(events: readonly Event[]): number[] {
  return events.flatMap(({ number }) => number ?? []);
}

function isLast({ type }: Event): boolean {
  return ['done', 'cancelled', 'error'].includes(type);
}
