/**
 * `slipway test`: runs vitest and closes with one line of counts for people and scripts. Knows nothing of the tests.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { runTool } from './run-tool.ts';

export function register(program: Command): void {
  program
    .command('test')
    .description('run the tests')
    .argument('[filters...]', 'only files whose path contains one of these; vitest options work too')
    .option('--coverage', 'measure what the tests reach (coverage/)')
    .allowUnknownOption()
    .addHelpText(
      'after',
      `
Examples:
  slipway test                          everything
  slipway test shared/bucket            one folder
  slipway test folder.test -t 'disk'    one file, tests whose name matches

The last line is always "N passed, N failed, N skipped". Exits 1 when anything failed or no test was found.`,
    )
    .action(async (filters: string[], options: { coverage?: true }) => {
      process.exitCode = await test(options.coverage ? [...filters, '--coverage'] : filters);
    });
}

/** The part of vitest's JSON report that counts. */
const Report = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })),
});

async function test(args: readonly string[]): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-test-'));
  const reportFile = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`];
    const { exitCode } = await runTool('vitest/vitest.mjs', ['run', ...reporters, ...args], 'inherit');
    const counts = await readCounts(reportFile, exitCode);
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
    return exitCode !== 0 || counts.failed > 0 ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A file that cannot be loaded, or an error outside any test, counts as one failure: the line never hides one. */
async function readCounts(
  file: string,
  exitCode: number,
): Promise<{ passed: number; failed: number; skipped: number }> {
  let report: z.infer<typeof Report>;
  try {
    report = Report.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return { passed: 0, failed: exitCode === 0 ? 0 : 1, skipped: 0 };
  }
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}
