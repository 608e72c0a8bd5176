/**
 * The inference service put together: model, server, signals. The door by which main.ts and the command line start it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { createLogger, type Logger, terminalOrJson } from '@slipway/shared/lib/log.ts';
import { onSignals } from '@slipway/shared/lib/on-signals.ts';
import type { LoadedModel } from './generation/loaded-model.ts';
import { ModelRegistry } from './models/registry.ts';

export { BUNDLED_BUCKET } from './models/find-version.ts';

export interface InferenceService {
  readonly url: string;
  /** Rejects with the AppError that kept the model from loading. */
  readonly loaded: Promise<LoadedModel>;
  /** Goes on with batches that an earlier process left. */
  resumeBatches(): Promise<void>;
  /** Answers what has begun, takes nothing new. False when something had to be cut off. */
  drain(seconds: number): Promise<boolean>;
  close(): Promise<void>;
}

const LONGEST_SILENCE_MILLISECONDS = 200;

/** Listens at once, so that probes are answered while the model loads. */
export async function startInferenceService(config: ServiceConfig, log: Logger): Promise<InferenceService> {
  const models = new ModelRegistry(config, log);
  try {
    // What answers HTTP is loaded while the engine's process starts; a slow bucket must not keep probes from being answered.
    await Promise.race([models.opening, sleep(LONGEST_SILENCE_MILLISECONDS)]);
    const { startService } = await import('./http/service.ts');
    const service = await startService({ config, models, log });
    return { ...service, loaded: models.mainLoaded };
  } catch (error) {
    await models.close();
    throw error;
  }
}

/**
 * Serves until a signal and leaves the process. The first SIGTERM or SIGINT drains, a second one leaves at once.
 * Rejects with an AppError when the service cannot start; `onReady` is told the URL when requests are taken.
 */
export async function serveUntilSignal(
  config: ServiceConfig,
  onReady?: (url: string, model: LoadedModel) => void,
): Promise<void> {
  const log = createLogger({
    service: 'inference',
    level: config.logLevel,
    secrets: [config.apiKey, config.hfToken, config.sessionsUrl],
    destination: await terminalOrJson(),
  });
  const service = await startInferenceService(config, log);
  const isLeaving = onSignals(log, async () => {
    const whole = await service.drain(config.drainSeconds);
    await service.close();
    if (!whole) log.error(`requests were still running after ${config.drainSeconds} s and were cut off`);
    process.exit(whole ? 0 : 1);
  });
  log.info(
    { url: service.url, timeout_seconds: config.timeoutSeconds, permits: config.occupancySemaphore },
    'listening',
  );
  try {
    const model = await service.loaded;
    log.info(
      { url: service.url, model: model.name, fingerprint: model.fingerprint, engine: model.engine.info },
      'ready',
    );
    onReady?.(service.url, model);
    service.resumeBatches().catch((error) => log.error({ err: error }, 'batches cannot be gone on with'));
  } catch (error) {
    // A signal that came while it loaded has given up the load, and ends the process in its own way.
    if (isLeaving()) return;
    await service.close();
    throw error;
  }
}
