/** The kernel's own tests, written and run in Python. `./slipway setup trainer --checks` installs what they need. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { findKernelEnvironment, KERNEL } from './kernel-environment.ts';

const found = await findKernelEnvironment(process.env);
const missing = found?.hasChecks ? '' : ' (skipped: ./slipway setup trainer --checks has not been run)';

it.skipIf(missing)(`the kernel passes its own tests${missing}`, { timeout: 60 * 60_000 }, async () => {
  const outcome = await promisify(execFile)(
    found?.python ?? '',
    ['-m', 'pytest', '--no-header', '-p', 'no:cacheprovider'],
    {
      cwd: KERNEL,
      maxBuffer: 2 ** 26,
    },
  ).catch((error: { stdout: string; stderr: string }) => ({ stdout: `FAILED\n${error.stdout}`, stderr: error.stderr }));
  expect(outcome.stdout + outcome.stderr).toMatch(/\d+ passed/);
  expect(outcome.stdout).not.toContain('FAILED');
});
