/**
 * `slipway trainer`: the trainer over HTTP, and `trainer join`, which lends a machine to another's trainings. Turns options into settings;
 * others do the rest.
 */
import { loadTrainerConfig } from '@slipway/shared/contracts/trainer-config.ts';
import type { Command } from 'commander';
import { wholeNumber } from './number-option.ts';
import type { JoinFlags } from './trainer/join.ts';

const MOST = 4096;

interface TrainerFlags {
  readonly port?: string;
  readonly host?: string;
  readonly bucket?: string;
  readonly dataRoots?: string;
  readonly modelRoots?: string;
  readonly acceptOnly?: true;
  readonly logLevel?: string;
}

export function register(program: Command): void {
  const trainer = program
    .command('trainer')
    .description('take trainings over HTTP, and work on them')
    .option('--port <number>', 'port to listen on (PORT; default: 8090)')
    .option('--host <address>', 'address to listen on (HOST; default: 0.0.0.0)')
    .option('--bucket <url>', 'where versions are published (BUCKET_URL; default: ./bucket)')
    .option(
      '--data-roots <folders>',
      'what recipes of requests may read, with commas between (DATA_ROOTS; default: none)',
    )
    .option('--model-roots <folders>', 'where they find a base (MODEL_ROOTS; default: ./downloads)')
    .option('--accept-only', 'take runs and tell of them, and leave the work to others (WORK_RUNS=false)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (LOG_LEVEL; default: info)')
    .addHelpText(
      'after',
      `
Runs lie in DATA_FOLDER (default: ./data) and wait there, or in a Redis (JOBS_URL), until a worker of that folder takes them: this service,
or whoever follows one with slipway train --follow. SIGTERM pauses what is trained at a checkpoint; the next start goes on with it.
docs/training-api.md has every path.

Examples:
  slipway trainer --data-roots ./corpus
  curl http://127.0.0.1:8090/runs/train --data-binary @recipe.yaml`,
    )
    .action(async ({ bucket, acceptOnly, ...flags }: TrainerFlags) => {
      const config = loadTrainerConfig(process.env, {
        ...flags,
        bucketUrl: bucket,
        workRuns: acceptOnly === undefined ? undefined : false,
      });
      const { trainUntilSignal } = await import('@slipway/trainer/serve');
      await trainUntilSignal(config, (await import('./serve-version.ts')).serveVersion);
    });
  trainer
    .command('join')
    .description('lend this machine to trainings that another one leads (training.nodes)')
    .requiredOption('--nodes <number>', 'machines that train together, the leading one included', wholeNumber(2, MOST))
    .requiredOption('--rank <number>', 'which of them this is: 1 for the first that joins', wholeNumber(1, MOST))
    .option('--processes <number>', 'processes here; default: one for each GPU', wholeNumber(1, MOST))
    .addHelpText(
      'after',
      `
MASTER_ADDR is the address of the machine that leads, MASTER_PORT a port there (default: 29500); they are the same on all machines, and so is
what lies in DATA_FOLDER and in the folders that the recipe names: a shared file system. It stays for the next training until Ctrl-C.

Examples:
  MASTER_ADDR=10.0.0.1 slipway train recipe.yaml --set training.nodes=2 --follow     # on 10.0.0.1
  MASTER_ADDR=10.0.0.1 slipway trainer join --nodes 2 --rank 1                       # on the other`,
    )
    .action(async (flags: JoinFlags) => (await import('./trainer/join.ts')).join(flags));
}
