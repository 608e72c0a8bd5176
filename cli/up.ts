/**
 * `slipway up`: the bundled model on this machine, with nothing to set up. For everything else there is `slipway serve`.
 */

import { BUNDLED_BUCKET, serveUntilSignal } from '@slipway/inference/serve';
import { loadServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { Command } from 'commander';
import { buildPlayground } from './playground.ts';

interface UpOptions {
  readonly port?: string;
  readonly host?: string;
}

export function register(program: Command): void {
  program
    .command('up')
    .description('serve the bundled model: the shortest way to an answer')
    .option('--port <number>', 'port to listen on (PORT; default: 8080)')
    .option('--host <address>', 'address to listen on (HOST; default: 127.0.0.1, this machine only)')
    .action(async ({ port, host }: UpOptions) => {
      const config = await loadServiceConfig({
        flags: { port, host: host ?? (process.env.HOST || '127.0.0.1'), bucketUrl: BUNDLED_BUCKET },
        environment: { ...process.env, MODEL: undefined },
        path: null,
      });
      await serveUntilSignal(config, (url, model) => {
        buildPlayground();
        console.log(`
${model.name} answers on ${url} (Ctrl-C ends it). Try:

  curl -N ${url}/generate -H 'content-type: application/json' \\
    -d '{"prompt": "ROMEO:", "max_new_tokens": 100, "temperature": 0.7}'

or open ${url}/ui in a browser.
`);
      });
    });
}
