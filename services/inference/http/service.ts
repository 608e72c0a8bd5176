/**
 * The running service: listens, drains, closes. Puts the parts together around the models that it is given.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { getRequestListener } from '@hono/node-server';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { KeyRing } from '@slipway/shared/http/key-ring.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { AnswerCache } from '../generation/answer-cache.ts';
import { Occupancy } from '../generation/occupancy.ts';
import { isReady, type ServedModels } from '../models/served-models.ts';
import { openSessionStore } from '../sessions/open-session-store.ts';
import { Sessions } from '../sessions/sessions.ts';
import { createApp } from './app.ts';
import { LazyBatches } from './batches/lazy-batches.ts';
import { BodyReaders } from './body-readers.ts';
import { guardConnections, refuseMalformed, SERVER_OPTIONS } from './connection-guard.ts';
import { InFlight } from './in-flight.ts';
import { Metrics } from './metrics/metrics.ts';
import type { ServiceParts } from './service-parts.ts';
import { OpenSockets } from './sockets/open-sockets.ts';
import { isUpgrade, takeUpgrades } from './sockets/upgrades.ts';
import { startTracing } from './tracing/tracing.ts';
import { UnsentAnswers } from './unsent-answers.ts';

export interface ServiceOptions {
  readonly config: ServiceConfig;
  /** Closed with the service. */
  readonly models: ServedModels;
  readonly log: Logger;
}

export interface Service {
  readonly url: string;
  /** Goes on with batches that an earlier process left. */
  resumeBatches(): Promise<void>;
  /** Takes no new requests and waits until those in flight have been answered and sent. False when some were not after `seconds`. */
  drain(seconds: number): Promise<boolean>;
  close(): Promise<void>;
}

/** Connections that may wait to be accepted; the system's own limit applies as well. */
const BACKLOG = 4096;
const LOOK_AGAIN_MILLISECONDS = 20;
/** Requests whose bodies are read while permits and queue are full, to be told so in the queue's own words. */
const READ_BEYOND_QUEUE = 32;
/** All bodies that are on their way at once; at least so many times the largest one. */
const BODY_BYTES = 64 * 2 ** 20;
const LARGEST_BODIES = 2;
/** Of all connections, so that the others always find room. */
const SOCKETS_SHARE = 1 / 4;

/** Listens. AppError already_exists when the port is taken, invalid_field or not_found for a file of keys that cannot be used. */
export async function startService({ config, models, log }: ServiceOptions): Promise<Service> {
  const keys = new KeyRing(config.apiKey);
  const unfollowKeys = await followKeys(keys, config, log);
  const occupancy = new Occupancy(config.occupancySemaphore, config.queueLimit);
  const bodies = new BodyReaders(Math.max(BODY_BYTES, LARGEST_BODIES * config.bodyLimitBytes), () => performance.now());
  const inFlight = new InFlight(config.occupancySemaphore + config.queueLimit + READ_BEYOND_QUEUE, () =>
    bodies.cutSlowest(),
  );
  const unsent = new UnsentAnswers();
  const sockets = new OpenSockets(Math.ceil(config.maxConnections * SOCKETS_SHARE));
  const metrics = new Metrics({
    models: () => models.loaded(),
    totals: () => models.totals(),
    sockets: () => sockets.count,
    isReady: () => isReady(models.main) && !inFlight.draining,
  });
  const tracing = await startTracing(config.otlpEndpoint, log);
  const sessions = new Sessions(() => openSessionStore(config, log));
  const parts: ServiceParts = {
    config,
    models,
    log,
    occupancy,
    metrics,
    inFlight,
    bodies,
    unsent,
    tracing,
    keys,
    answers: await openAnswerCache(config),
    sessions,
    sockets,
    turns: occupancy,
    batches: new LazyBatches(config.dataFolder, async () =>
      (await import('./batches/batch-service.ts')).openBatches(parts),
    ),
  };
  const { fetch } = createApp(parts);
  const errorHandler = refuseMalformed(log);
  const server = createServer(
    { ...SERVER_OPTIONS, shouldUpgradeCallback: isUpgrade },
    getRequestListener(fetch, { errorHandler }),
  );
  takeUpgrades(server, fetch, errorHandler);
  unsent.watch(server);
  guardConnections(server, config.maxConnections);
  const url = await listen(server, config);
  metrics.watchProcess();
  return {
    url,
    resumeBatches: () => parts.batches.resume(),
    async drain(seconds) {
      const [isWhole] = await Promise.all([drain(server, parts, seconds), parts.batches.stop()]);
      return isWhole;
    },
    async close() {
      unfollowKeys();
      server.close();
      server.closeAllConnections();
      sockets.destroy();
      await parts.batches.close();
      await models.close();
      await sessions.close();
      await tracing?.close();
    },
  };
}

async function followKeys(keys: KeyRing, { apiKeysFile }: ServiceConfig, log: Logger): Promise<() => void> {
  if (apiKeysFile === null) return () => {};
  const { followKeysFile } = await import('@slipway/shared/http/keys-file.ts');
  return followKeysFile(apiKeysFile, log, (entries) => keys.replaceFile(entries));
}

/** Loaded only where it is wanted: most services keep nothing. */
async function openAnswerCache({ responseCacheMb }: ServiceConfig): Promise<AnswerCache | null> {
  if (responseCacheMb === 0) return null;
  const { AnswerCache } = await import('../generation/answer-cache.ts');
  return new AnswerCache(responseCacheMb * 2 ** 20);
}

async function listen(server: Server, config: ServiceConfig): Promise<string> {
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

function listenError(error: unknown, { host, port }: ServiceConfig): unknown {
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

async function drain(server: Server, { unsent, inFlight, sockets }: ServiceParts, seconds: number): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  const cut = new AbortController();
  const drained = inFlight.drain();
  sockets.goAway();
  await Promise.race([drained, sleep(seconds * 1000, undefined, { signal: cut.signal })]);
  cut.abort();
  server.close();
  // An answer that is made is not yet sent: its reader may be slow.
  while (unsent.count > 0 && performance.now() < deadline) await sleep(LOOK_AGAIN_MILLISECONDS);
  server.closeIdleConnections();
  return inFlight.count === 0 && unsent.count === 0;
}
