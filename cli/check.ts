/**
 * `slipway check`: every static check of the repository, at once, each with its own line. Knows the tools' arguments only.
 */
import { findKernelEnvironment, KERNEL } from '@slipway/trainer/kernel-environment';
import type { Command } from 'commander';
import { runProgram, runTool } from './run-tool.ts';

const CHECKS = [
  { name: 'types', entry: 'typescript/bin/tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'types of the playground', entry: 'typescript/bin/tsc', args: ['--noEmit', '-p', 'apps/playground'] },
  { name: 'lint and format', entry: '@biomejs/biome/bin/biome', args: ['check', '--error-on-warnings', '.'] },
  {
    name: 'import directions',
    entry: 'dependency-cruiser/bin/dependency-cruiser.mjs',
    args: [
      '--config',
      '.dependency-cruiser.mjs',
      'shared',
      'services',
      'cli',
      'tests',
      'bench',
      'apps',
      'deploy',
      'examples',
    ],
  },
  { name: 'dead code', entry: 'knip/bin/knip.js', args: [] },
] as const;

/** Of the Python package, by modules of its environment. */
const KERNEL_CHECKS = [
  { name: 'types of the kernel', args: ['-m', 'mypy'] },
  { name: 'lint of the kernel', args: ['-m', 'ruff', 'check'] },
  { name: 'format of the kernel', args: ['-m', 'ruff', 'format', '--check'] },
] as const;

export function register(program: Command): void {
  program
    .command('check')
    .description('check types, lint, import directions and dead code')
    .option('--fix', 'first let Biome put right what it can')
    .addHelpText('after', '\nExits 0 when all is well, 1 when a check failed. The laws are in docs/architecture.md.')
    .action(async (options: { fix?: true }) => {
      if (options.fix) await runTool('@biomejs/biome/bin/biome', ['check', '--write', '.'], 'inherit');
      await check();
    });
}

async function check(): Promise<void> {
  const kernel = await findKernelEnvironment(process.env);
  const results = await Promise.all([
    ...CHECKS.map(async ({ name, entry, args }) => ({ name, ...(await runTool(entry, args)) })),
    ...(kernel?.hasChecks ? KERNEL_CHECKS : []).map(async ({ name, args }) => ({
      name,
      ...(await runProgram(kernel?.python ?? '', args, KERNEL)),
    })),
  ]);
  for (const { name, exitCode, output, seconds } of results) {
    if (exitCode !== 0) console.log(`\n${output}\n`);
    console.log(`${exitCode === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds.toFixed(1)} s)`);
    if (exitCode !== 0) process.exitCode = 1;
  }
  if (!kernel?.hasChecks) console.log('skipped the kernel: ./slipway setup trainer --checks has not been run');
}
