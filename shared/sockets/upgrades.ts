/**
 * Requests for a WebSocket: led through the same rules as every other request, and answered like one when they are refused. Knows nothing of
 * WebSockets themselves; the route that takes one does.
 */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { RequestError } from '@hono/node-server';
import { z } from 'zod';
import { KEY_PROTOCOL_PREFIX, type SocketError } from '../contracts/sockets.ts';
import type { RequestEnvironment } from '../http/request-context.ts';

/** The service's paths, as a function of a request. */
export type Dispatch = (request: Request, bindings: RequestEnvironment['Bindings']) => Response | Promise<Response>;

/** Those that are not of what is asked over the socket. */
const HANDSHAKE_HEADERS = /^(connection|upgrade|x-request-id|sec-websocket-.*)$/;

/** What HTTP has no place for: the connection itself. */
export class Handshake {
  /** With the key that came as a subprotocol where others have it. */
  readonly asked: Request;
  readonly incoming: IncomingMessage;
  readonly head: Buffer;
  readonly dispatch: Dispatch;
  readonly #connection: Duplex;
  #isTaken = false;

  constructor(asked: Request, incoming: IncomingMessage, connection: Duplex, head: Buffer, dispatch: Dispatch) {
    this.asked = asked;
    this.incoming = incoming;
    this.head = head;
    this.dispatch = dispatch;
    this.#connection = connection;
  }

  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** What its caller asks of a path over the socket: under the same rules as by HTTP, the key looked at again. */
  request(path: string, signal: AbortSignal | null = null): Request {
    const headers = [...this.asked.headers].filter(([name]) => !HANDSHAKE_HEADERS.test(name));
    return new Request(new URL(path, this.asked.url), { method: 'POST', headers, signal });
  }

  /** The connection, which is its taker's own from here on. */
  take(): Duplex {
    this.#isTaken = true;
    return this.#connection;
  }
}

const handshakes = new WeakMap<Request, Handshake>();

/** Undefined for a request that is no handshake. */
export function handshakeOf(request: Request): Handshake | undefined {
  return handshakes.get(request);
}

/** For `createServer`: every other request that names a protocol to change to is answered as if it did not. */
export function isUpgradeOf(
  isSocketPath: (path: string) => boolean,
): (request: Pick<IncomingMessage, 'url' | 'headers'>) => boolean {
  return ({ url = '', headers }) => {
    const [path = ''] = url.split('?');
    return isSocketPath(path) && headers.upgrade?.toLowerCase() === 'websocket';
  };
}

export function takeUpgrades(server: Server, dispatch: Dispatch, onError: (error: unknown) => Response): void {
  server.on('upgrade', async (incoming: IncomingMessage, connection: Duplex, head: Buffer) => {
    // Who leaves meanwhile is noticed by whoever writes.
    connection.on('error', () => {});
    const refusal = await refusalOf(incoming, connection, head, dispatch).catch(onError);
    if (refusal !== undefined) write(connection, refusal, Buffer.from(await refusal.arrayBuffer()));
  });
}

/** Undefined where the connection was taken. */
async function refusalOf(
  incoming: IncomingMessage,
  connection: Duplex,
  head: Buffer,
  dispatch: Dispatch,
): Promise<Response | undefined> {
  const request = requestOf(incoming);
  const handshake = new Handshake(request, incoming, connection, head, dispatch);
  handshakes.set(request, handshake);
  const response = await dispatch(request, { incoming });
  return handshake.isTaken ? undefined : response;
}

const ERROR = z.object({ error: z.object({ code: z.string(), message: z.string(), request_id: z.string() }) });

/** Of a request that was asked over the socket, as it is told there. */
export async function answeredError(response: Response): Promise<SocketError> {
  const retryAfter = response.headers.get('retry-after');
  const { error } = ERROR.parse(await response.json());
  return { error, ...(retryAfter === null ? {} : { retry_after: Number(retryAfter) }) };
}

function requestOf({ method = 'GET', url = '/', headers }: IncomingMessage): Request {
  const address = `http://${headers.host}${url}`;
  if (headers.host === undefined || !URL.canParse(address)) throw new RequestError('its Host or address is none');
  const given = new Headers();
  for (const [name, value = []] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) given.append(name, one);
  }
  const key = keyAmong(given.get('sec-websocket-protocol') ?? '');
  if (key !== undefined && !given.has('authorization')) given.set('authorization', `Bearer ${key}`);
  return new Request(address, { method, headers: given });
}

function keyAmong(protocols: string): string | undefined {
  const encoded = protocols.split(/\s*,\s*/).find((protocol) => protocol.startsWith(KEY_PROTOCOL_PREFIX));
  const key = Buffer.from(encoded?.slice(KEY_PROTOCOL_PREFIX.length) ?? '', 'base64url').toString('latin1');
  // Anything else no header can hold.
  return /^[!-~]+$/.test(key) ? key : undefined;
}

function write(connection: Duplex, { status, headers }: Response, body: Buffer): void {
  const all = new Headers(headers);
  all.set('Connection', 'close');
  all.set('Content-Length', String(body.length));
  const lines = [...all].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines}\r\n`;
  connection.once('finish', () => connection.destroy());
  connection.end(Buffer.concat([Buffer.from(head), body]));
}
