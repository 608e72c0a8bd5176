/**
 * Packages of PyPI in an environment of their own below node_modules/.cache, made once. Knows no package.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

const CACHE = resolve(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'slipway');

export interface PythonEnvironment {
  readonly folder: string;
  /** Empty, or why it is not there, for the names of tests that are skipped. */
  readonly missing: string;
}

/** `packages` with their versions: others make another environment. */
export function pythonEnvironment(name: string, packages: readonly string[]): PythonEnvironment {
  const folder = join(CACHE, name);
  const stamp = join(folder, packages.join('-'));
  if (existsSync(stamp)) return { folder, missing: '' };
  rmSync(folder, { recursive: true, force: true });
  for (const [program, args] of [
    ['python3', ['-m', 'venv', folder]],
    [join(folder, 'bin', 'pip'), ['install', '--quiet', '--disable-pip-version-check', ...packages]],
  ] as const) {
    const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
    if (status === 0) continue;
    return { folder, missing: ` (skipped: ${program} failed: ${error?.message ?? stderr.trim().split('\n').at(-1)})` };
  }
  writeFileSync(stamp, '');
  return { folder, missing: '' };
}
