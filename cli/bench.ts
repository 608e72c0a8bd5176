/**
 * `slipway bench NAME`: starts the benchmark program, which lives with its peers in bench/. Knows no figure.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import { ROOT } from './run-tool.ts';

export function register(program: Command): void {
  program
    .command('bench')
    .description('measure speed, memory and quality, peers beside us')
    .argument('[name]', 'what to measure; with --help alone all are listed')
    .allowUnknownOption()
    .allowExcessArguments()
    .helpOption(false)
    .action(async () => {
      // Its own arguments are described and checked by bench/main.ts, which stays out of a production install.
      const args = process.argv.slice(process.argv.indexOf('bench') + 1);
      const child = spawn(process.execPath, [join(ROOT, 'bench', 'main.ts'), ...args], { stdio: 'inherit' });
      process.exitCode = await new Promise<number>((settle, fail) => {
        child.once('error', fail);
        child.once('close', (code) => settle(code ?? 1));
      });
    });
}
