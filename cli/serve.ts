/**
 * `slipway serve`: a version from the bucket over HTTP. Turns options into settings; the service does the rest.
 */

import { serveUntilSignal } from '@slipway/inference/serve';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { Command } from 'commander';
import { buildPlayground } from './playground.ts';

interface ServeOptions {
  readonly config?: string;
  readonly model?: string;
  readonly preload?: string;
  readonly onDemand?: boolean;
  readonly maxMemory?: string;
  readonly bucket?: string;
  readonly port?: string;
  readonly host?: string;
  readonly slots?: string;
  readonly threads?: string;
  readonly contextLength?: string;
  readonly semaphore?: string;
  readonly pollSeconds?: string;
  readonly logLevel?: string;
}

export function register(program: Command): void {
  program
    .command('serve')
    .description('serve a version from the bucket over HTTP')
    .argument('[model]', 'NAME, NAME@champion or NAME@v001; default: the first in the bucket')
    .option('--model <name>', 'the same as the argument')
    .option('--preload <names>', 'more models, with commas between them (PRELOAD)')
    .option('--on-demand', 'a request loads the model it names (MODELS_ON_DEMAND)')
    .option('--max-memory <bytes>', 'what all engines together may hold, such as 2GiB (MODELS_MAX_MEMORY)')
    .option('--bucket <url>', 'where the versions are (BUCKET_URL; default: ./bucket, else the bundled model)')
    .option('--port <number>', 'port to listen on (PORT; default: 8080)')
    .option('--host <address>', 'address to listen on (HOST; default: 0.0.0.0)')
    .option(
      '--semaphore <number>',
      'requests that run at once, 1 = strictly one at a time (OCCUPANCY_SEMAPHORE; default: 16)',
    )
    .option('--slots <number>', 'sequences decoded at once (SLOTS; default: as many as requests run at once)')
    .option('--threads <number>', 'threads of the engine (THREADS; default: what the processor limit allows)')
    .option('--context-length <number>', 'positions per slot (CONTEXT_LENGTH; default: longest prompt and answer)')
    .option('--poll-seconds <number>', 'between looks at where the name points; 0: never (POLL_SECONDS; default: 10)')
    .option('--config <file>', 'settings in YAML (CONFIG; default: ./config.yml when there is one)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (LOG_LEVEL; default: info)')
    .addHelpText(
      'after',
      `
NAME is what its alias champion points at, or the newest version while there is none. When it comes to point at another version, that
is loaded beside the one that serves and takes its place without a failed request: see slipway models promote and rollback.

Flags win over the environment, the environment over the file. .env.example lists every variable.`,
    )
    .action(async (model: string | undefined, options: ServeOptions) => {
      const { config: path, bucket, semaphore, onDemand, maxMemory, ...flags } = options;
      const config = await loadServiceConfig({
        flags: {
          ...flags,
          model: options.model ?? model,
          bucketUrl: bucket,
          occupancySemaphore: semaphore,
          modelsOnDemand: onDemand,
          modelsMaxMemory: maxMemory,
        },
        environment: process.env,
        path,
      });
      await serveUntilSignal(config, buildPlayground);
    });
}
