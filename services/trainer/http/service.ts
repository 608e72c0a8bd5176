/**
 * The running trainer: listens, works on the queue, drains, closes. Puts the parts together around the stages that it is given.
 */
import { createServer } from 'node:http';
import { hostname } from 'node:os';
import { getRequestListener } from '@hono/node-server';
import { absoluteAddress } from '@slipway/shared/bucket/open-bucket.ts';
import type { TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { FileStore } from '@slipway/shared/files/file-store.ts';
import { BodyReaders } from '@slipway/shared/http/body-readers.ts';
import { guardConnections, refuseMalformed, SERVER_OPTIONS } from '@slipway/shared/http/connection-guard.ts';
import { InFlight } from '@slipway/shared/http/in-flight.ts';
import { drain, listen } from '@slipway/shared/http/listen.ts';
import { openKeyRing } from '@slipway/shared/http/open-key-ring.ts';
import { UnsentAnswers } from '@slipway/shared/http/unsent-answers.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { OpenSockets } from '@slipway/shared/sockets/open-sockets.ts';
import { isUpgradeOf, takeUpgrades } from '@slipway/shared/sockets/upgrades.ts';
import type { ServeVersion } from '../evaluation/serve-version.ts';
import { keepRoom } from '../runs/keep-room.ts';
import { keepWorking } from '../runs/keep-working.ts';
import { openRunQueue } from '../runs/open-run-queue.ts';
import type { Stages } from '../runs/stages.ts';
import { createApp } from './app.ts';
import { whyNotReady } from './readiness.ts';
import type { ServiceParts } from './service-parts.ts';
import { TaskRunner } from './tasks/task-runner.ts';
import { TrainerMetrics } from './trainer-metrics.ts';

export interface TrainerOptions {
  readonly config: TrainerConfig;
  readonly log: Logger;
  readonly stages: Stages;
  /** How versions are asked; without it evaluations are refused. */
  readonly serve?: ServeVersion | undefined;
  /** How soon another worker may take over after this one was killed. */
  readonly leaseMilliseconds?: number;
}

export interface TrainerService {
  readonly url: string;
  /** Takes nothing new, pauses what is trained at a checkpoint and gives it back. False when that took longer than `seconds`. */
  drain(seconds: number): Promise<boolean>;
  close(): Promise<void>;
}

/** All bodies that are on their way at once. */
const BODY_BYTES = 64 * 2 ** 20;
const REQUESTS_AT_ONCE = 256;

/** Listens. AppError already_exists when the port is taken, invalid_field or not_found for a file of keys that cannot be used. */
export async function startTrainer({
  config,
  log,
  stages,
  serve,
  ...options
}: TrainerOptions): Promise<TrainerService> {
  const { dataFolder } = config;
  const { keys, unfollow } = await openKeyRing(config, log);
  const queue = await openRunQueue(dataFolder, config.jobsUrl, log);
  const files = await FileStore.open(dataFolder);
  const bodies = new BodyReaders(BODY_BYTES, () => performance.now());
  const inFlight = new InFlight(REQUESTS_AT_ONCE, () => bodies.cutSlowest());
  const unsent = new UnsentAnswers();
  const sockets = new OpenSockets(config.maxConnections);
  const leaving = new AbortController();
  const worker = config.workRuns
    ? keepWorking({ dataFolder, queue, stages, ...options }, config.worker ?? hostname(), log)
    : undefined;
  const room = config.workRuns && config.keepFreeGib > 0 ? keepRoom(config, log) : undefined;
  const tasks = new TaskRunner(log);
  const isWorking = () => worker?.isWorking() ?? false;
  const ready = () => whyNotReady(inFlight, queue, log);
  const metrics = new TrainerMetrics({ dataFolder, whyNotReady: ready, isWorking });
  const parts: ServiceParts = {
    config: { ...config, bucketUrl: absoluteAddress(config.bucketUrl) },
    log,
    keys,
    queue,
    files,
    bodies,
    inFlight,
    unsent,
    sockets,
    tasks,
    serve,
    metrics,
    leaving: leaving.signal,
    isWorking,
    whyNotReady: ready,
  };
  const { fetch } = createApp(parts);
  const errorHandler = refuseMalformed(log);
  const server = createServer(
    { ...SERVER_OPTIONS, shouldUpgradeCallback: isUpgradeOf((path) => path.startsWith('/ws/training/')) },
    getRequestListener(fetch, { errorHandler }),
  );
  takeUpgrades(server, fetch, errorHandler);
  unsent.watch(server);
  guardConnections(server, config.maxConnections);
  const close = async () => {
    leaving.abort();
    unfollow();
    server.close();
    server.closeAllConnections();
    sockets.destroy();
    await Promise.all([worker?.leave(), tasks.leave(), room?.leave()]);
    await queue.close();
    files.close();
  };
  try {
    const url = await listen(server, config);
    metrics.watchProcess();
    return {
      url,
      close,
      async drain(seconds) {
        const left = Promise.all([worker?.leave(), tasks.leave(), room?.leave()]);
        leaving.abort();
        sockets.goAway();
        const late = Promise.withResolvers<boolean>();
        const timer = setTimeout(() => late.resolve(false), seconds * 1000);
        const isGivenBack = await Promise.race([left.then(() => true), late.promise]);
        clearTimeout(timer);
        const isSent = await drain(server, parts, seconds);
        return isGivenBack && isSent;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
