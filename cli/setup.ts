/**
 * `slipway setup trainer`: installs what training runs on. Knows how its progress is shown, not what is installed.
 */
import { setUpKernel } from '@slipway/trainer/set-up-kernel';
import type { Command } from 'commander';
import { interruptible } from './interruptible.ts';

export function register(program: Command): void {
  const setup = program
    .command('setup')
    .description('install what a part of it runs on: training needs Python packages')
    .addHelpText('after', '\nExample:\n  slipway setup trainer');
  setup
    .command('trainer')
    .description('Python packages for training (about 6 GB, once)')
    .option('--cpu', 'without what only GPUs need (about 1 GB)')
    .option('--checks', 'also what checks and tests the Python package')
    .addHelpText(
      'after',
      `
Makes services/trainer/kernel/.venv from the lock files there, with the first python3 (3.11 or newer) on the path. It is done once; run
again it does nothing until a lock file changes, and goes on after one that was interrupted. The first "slipway train" does the same.

SLIPWAY_PYTHON names a Python to take instead. If it has torch, transformers, tokenizers, safetensors and numpy already, as images for
GPUs have, it is used as it is and nothing is installed.

--cpu takes torch from PyTorch's own index of CPU builds, which must be reachable.`,
    )
    .action(async ({ cpu, checks }: { cpu?: true; checks?: true }) => {
      const environment = await interruptible('run it again: what was downloaded is kept', (signal) =>
        setUpKernel({
          environment: process.env,
          checks: checks === true,
          cpu: cpu === true,
          onPhase: (phase) => console.error(`${phase} ...`),
          onLine: (line) => console.error(`  ${line}`),
          signal,
        }),
      );
      console.log(`ready: ${environment.python}`);
    });
}
