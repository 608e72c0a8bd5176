/**
 * The running service: listens, drains, closes. Puts the parts together around the models that it is given.
 */
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { BodyReaders } from '@slipway/shared/http/body-readers.ts';
import { guardConnections, refuseMalformed, SERVER_OPTIONS } from '@slipway/shared/http/connection-guard.ts';
import { InFlight } from '@slipway/shared/http/in-flight.ts';
import { drain, listen } from '@slipway/shared/http/listen.ts';
import { openKeyRing } from '@slipway/shared/http/open-key-ring.ts';
import { UnsentAnswers } from '@slipway/shared/http/unsent-answers.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { OpenSockets } from '@slipway/shared/sockets/open-sockets.ts';
import { isUpgradeOf, takeUpgrades } from '@slipway/shared/sockets/upgrades.ts';
import type { AnswerCache } from '../generation/answer-cache.ts';
import { Occupancy } from '../generation/occupancy.ts';
import { isReady, type ServedModels } from '../models/served-models.ts';
import { openSessionStore } from '../sessions/open-session-store.ts';
import { Sessions } from '../sessions/sessions.ts';
import { createApp } from './app.ts';
import { LazyBatches } from './batches/lazy-batches.ts';
import { Metrics } from './metrics/metrics.ts';
import type { ServiceParts } from './service-parts.ts';
import { startTracing } from './tracing/tracing.ts';

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

/** Requests whose bodies are read while permits and queue are full, to be told so in the queue's own words. */
const READ_BEYOND_QUEUE = 32;
/** All bodies that are on their way at once; at least so many times the largest one. */
const BODY_BYTES = 64 * 2 ** 20;
const LARGEST_BODIES = 2;

/** Listens. AppError already_exists when the port is taken, invalid_field or not_found for a file of keys that cannot be used. */
export async function startService({ config, models, log }: ServiceOptions): Promise<Service> {
  const { keys, unfollow } = await openKeyRing(config, log);
  const occupancy = new Occupancy(config.occupancySemaphore, config.queueLimit);
  const bodies = new BodyReaders(Math.max(BODY_BYTES, LARGEST_BODIES * config.bodyLimitBytes), () => performance.now());
  const inFlight = new InFlight(config.occupancySemaphore + config.queueLimit + READ_BEYOND_QUEUE, () =>
    bodies.cutSlowest(),
  );
  const unsent = new UnsentAnswers();
  const sockets = new OpenSockets(config.maxConnections);
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
    { ...SERVER_OPTIONS, shouldUpgradeCallback: isUpgradeOf((path) => path === '/ws/chat') },
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
      const drained = drain(server, parts, seconds);
      sockets.goAway();
      const [isWhole] = await Promise.all([drained, parts.batches.stop()]);
      return isWhole;
    },
    async close() {
      unfollow();
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

/** Loaded only where it is wanted: most services keep nothing. */
async function openAnswerCache({ responseCacheMb }: ServiceConfig): Promise<AnswerCache | null> {
  if (responseCacheMb === 0) return null;
  const { AnswerCache } = await import('../generation/answer-cache.ts');
  return new AnswerCache(responseCacheMb * 2 ** 20);
}
