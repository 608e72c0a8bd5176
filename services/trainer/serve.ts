/**
 * The trainer's service put together: stages, server, signals. The door by which main.ts and the command line start it.
 */
import type { TrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import { createLogger, terminalOrJson } from '@slipway/shared/lib/log.ts';
import { onSignals } from '@slipway/shared/lib/on-signals.ts';
import type { ServeVersion } from './evaluation/serve-version.ts';
import { startTrainer } from './http/service.ts';
import { trainerStages } from './runs/trainer-stages.ts';

/**
 * Serves until a signal and leaves the process. The first SIGTERM or SIGINT pauses what is trained and gives it back, a second one leaves
 * at once. `serve`: how versions are asked; without it nobody asks them. Rejects with an AppError when the service cannot start.
 */
export async function trainUntilSignal(config: TrainerConfig, serve?: ServeVersion): Promise<void> {
  const log = createLogger({
    service: 'trainer',
    level: config.logLevel,
    secrets: [config.apiKey, config.jobsUrl],
    destination: await terminalOrJson(),
  });
  const service = await startTrainer({ config, log, stages: trainerStages(config.dataFolder, serve), serve });
  onSignals(log, async () => {
    const isWhole = await service.drain(config.drainSeconds);
    if (!isWhole) {
      log.error(
        `what was worked on was not given back within ${config.drainSeconds} s; its next worker goes on from its last checkpoint`,
      );
      process.exit(1);
    }
    await service.close();
    process.exit(0);
  });
  log.info({ url: service.url, data_folder: config.dataFolder, works: config.workRuns }, 'listening');
}
