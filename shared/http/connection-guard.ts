/**
 * Keeps connections from being held by clients that say little or nothing: how long a request's head may take, how many connections there
 * may be and who makes room, and what is answered to bytes that are no HTTP. Knows no route.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { RequestError } from '@hono/node-server';
import { AppError } from '../contracts/errors.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import { errorBody, errorStatus } from './error-response.ts';
import { dataHeaders } from './security-headers.ts';

/** Longer than the idle time of the usual load balancers (60 s), so that they never write into a closing connection. */
const KEEP_ALIVE_MILLISECONDS = 75_000;
const HEAD_MILLISECONDS = 10_000;
/** For a body. A client that is slower would hold up draining. */
const BODY_MILLISECONDS = 60_000;
/** For a file, which may be large. */
const FILE_MILLISECONDS = 60 * 60_000;
const UPLOADS = /^\/v1\/files(?:\?|$)/;

/** Node's code for a head that came too slowly. */
const TOO_SLOW = 'ERR_HTTP_REQUEST_TIMEOUT';

/** For `createServer`, which alone takes them. */
export const SERVER_OPTIONS = {
  /** How often it looks who has had too much time. */
  connectionsCheckingInterval: 1000,
  maxHeaderSize: 16_384,
} as const;

export function guardConnections(server: Server, maxConnections: number): void {
  server.keepAliveTimeout = KEEP_ALIVE_MILLISECONDS;
  server.headersTimeout = HEAD_MILLISECONDS;
  // Node's own is the same for all paths.
  server.requestTimeout = 0;
  limitBodies(server);
  // Node would drop the last ones without a word, which are those that proxies add; their size is limited anyway.
  server.maxHeadersCount = 0;
  const answering = new Map<Socket, ServerResponse>();
  makeRoom(server, answering, maxConnections);
  server.on('clientError', (error, socket) => {
    if (!(socket.writable && 'remoteAddress' in socket)) return void socket.destroy();
    // Into an answer that has begun nothing can be written.
    if (answering.get(socket as Socket)?.headersSent) return void socket.destroy();
    socket.end(refusalOf(error));
  });
}

function limitBodies(server: Server): void {
  server.on('request', (request, response) => {
    const { headers, socket, url = '' } = request;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return;
    const late = () => {
      if (!request.complete)
        server.emit('clientError', Object.assign(new Error('too slow'), { code: TOO_SLOW }), socket);
    };
    const timer = setTimeout(late, UPLOADS.test(url) ? FILE_MILLISECONDS : BODY_MILLISECONDS);
    timer.unref();
    response.once('close', () => clearTimeout(timer));
  });
}

/** For requests that are HTTP but that no route can see: an address or a Host that is none. */
export function refuseMalformed(log: Logger): (error: unknown) => Response {
  return (error) => {
    const requestId = newId('req');
    const isRequest = error instanceof RequestError;
    if (!isRequest) log.error({ request_id: requestId, err: error }, 'a bug');
    const refusal = isRequest
      ? new AppError('malformed_request', `the request cannot be read: ${error.message}`)
      : error;
    const headers = { 'X-Request-ID': requestId, ...dataHeaders() };
    return Response.json(errorBody(refusal, requestId), { status: errorStatus(refusal), headers });
  };
}

/** Beyond so many connections the one that has been without a request for longest is closed; without such a one the newest. */
function makeRoom(server: Server, answering: Map<Socket, ServerResponse>, maxConnections: number): void {
  /** In the order in which they began to say nothing. */
  const silent = new Set<Socket>();
  let open = 0;
  server.on('connection', (socket) => {
    open += 1;
    silent.add(socket);
    socket.once('close', () => {
      open -= 1;
      silent.delete(socket);
    });
    if (open <= maxConnections) return;
    const [longest] = silent;
    longest?.destroy();
  });
  // What is a WebSocket says little by nature, and there may be so many of them.
  server.on('upgrade', ({ socket }) => silent.delete(socket));
  server.on('request', ({ socket }, response) => {
    silent.delete(socket);
    answering.set(socket, response);
    response.once('close', () => {
      answering.delete(socket);
      if (!socket.destroyed) silent.add(socket);
    });
  });
}

/** Nobody has seen a request yet, so that it is written by hand. */
function refusalOf(error: Error): string {
  const requestId = newId('req');
  const refusal = meaningOf('code' in error ? error.code : undefined);
  const body = JSON.stringify(errorBody(refusal, requestId));
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Request-ID': requestId,
    ...dataHeaders(),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${errorStatus(refusal)} Refused\r\n${lines.join('')}\r\n${body}`;
}

function meaningOf(code: unknown): AppError {
  if (code === TOO_SLOW) {
    const seconds = `${HEAD_MILLISECONDS / 1000} s for its head and ${BODY_MILLISECONDS / 1000} s for its body`;
    return new AppError('request_timeout', `the request came too slowly; there are ${seconds}`);
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return new AppError('headers_too_large', `the headers may have at most ${SERVER_OPTIONS.maxHeaderSize} bytes`);
  }
  return new AppError('malformed_request', 'this is no HTTP request as it should be');
}
