/**
 * How a service opens its port, and how it leaves: nothing new is taken, what has begun is answered and sent. Knows no route.
 */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../contracts/errors.ts';
import type { InFlight } from './in-flight.ts';
import type { UnsentAnswers } from './unsent-answers.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Connections that may wait to be accepted; the system's own limit applies as well. */
const BACKLOG = 4096;
const LOOK_AGAIN_MILLISECONDS = 20;

/** Gives the URL. AppError already_exists when the port is taken, invalid_field for an address that cannot be had. */
export async function listen(server: Server, config: Address): Promise<string> {
  server.listen({ port: config.port, host: config.host, backlog: BACKLOG });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw listenError(error, config);
  }
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function listenError(error: unknown, { host, port }: Address): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const choose = 'choose another with --port or the environment variable PORT';
  if (code === 'EADDRINUSE')
    return new AppError('already_exists', `port ${port} on ${host} is already in use; ${choose}`);
  if (code === 'EACCES') return new AppError('invalid_field', `port ${port} may not be opened by this user; ${choose}`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new AppError('invalid_field', `HOST ${host} is not an address of this machine; 0.0.0.0 is all of them`);
  }
  return error;
}

/** Waits until those in flight have been answered and sent. False when some were not after `seconds`. */
export async function drain(
  server: Server,
  { inFlight, unsent }: { readonly inFlight: InFlight; readonly unsent: UnsentAnswers },
  seconds: number,
): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  const cut = new AbortController();
  await Promise.race([inFlight.drain(), sleep(seconds * 1000, undefined, { signal: cut.signal })]);
  cut.abort();
  server.close();
  // An answer that is made is not yet sent: its reader may be slow.
  while (unsent.count > 0 && performance.now() < deadline) await sleep(LOOK_AGAIN_MILLISECONDS);
  server.closeIdleConnections();
  return inFlight.count === 0 && unsent.count === 0;
}
