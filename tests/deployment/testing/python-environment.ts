/**
 * Packages of PyPI in an environment of their own below node_modules/.cache, made once. Knows no package.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = resolve(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'slipway');
/** Installs in seconds what takes pip minutes. */
const UV = 'uv==0.13.9';

export interface PythonEnvironment {
  readonly folder: string;
  /** Empty, or why it is not there, for the names of tests that are skipped. */
  readonly missing: string;
}

/** Packages with their versions, or a file with those and their hashes. */
export type Requirements = readonly string[] | { readonly lock: string };

/** Others make another environment. One name belongs to one file of tests: two would make it at once. */
export async function pythonEnvironment(name: string, requirements: Requirements): Promise<PythonEnvironment> {
  const folder = join(CACHE, name);
  const isLock = 'lock' in requirements;
  const wanted = isLock ? readFileSync(requirements.lock) : requirements.join(' ');
  const stamp = join(folder, createHash('sha256').update(wanted).digest('hex'));
  if (existsSync(stamp)) return { folder, missing: '' };
  rmSync(folder, { recursive: true, force: true });
  const python = join(folder, 'bin', 'python');
  const packages = isLock ? ['--require-hashes', '--requirements', requirements.lock] : requirements;
  for (const [program, args] of [
    ['python3', ['-m', 'venv', folder]],
    [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', UV]],
    [python, ['-m', 'uv', 'pip', 'install', '--quiet', '--python', python, ...packages]],
  ] as const) {
    const failure = await run(program, args).then(
      () => undefined,
      (error: Error & { stderr?: string }) => error.stderr?.trim().split('\n').at(-1) || error.message,
    );
    if (failure !== undefined) return { folder, missing: ` (skipped: ${program} failed: ${failure})` };
  }
  writeFileSync(stamp, '');
  return { folder, missing: '' };
}
