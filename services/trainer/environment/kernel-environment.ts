/**
 * The Python that runs the kernel: the one SLIPWAY_PYTHON names when it has what the kernel imports, else a virtual environment beside
 * the kernel. Says what is there and whether it is whole; makes nothing.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

export const KERNEL = resolve(import.meta.dirname, '../kernel');

/** `stamp` holds the fingerprint of what was installed; it is written last, so that a set-up that was killed is no environment. */
export function environmentIn(kernel: string): { venv: string; python: string; stamp: string; lock: string } {
  const venv = join(kernel, '.venv');
  return {
    venv,
    python: join(venv, 'bin', 'python'),
    stamp: join(venv, '.slipway-installed'),
    lock: join(kernel, '.venv.lock'),
  };
}

/** What the kernel cannot do without; the rest is asked for by single operations. */
const NEEDED = ['torch', 'transformers', 'tokenizers', 'safetensors', 'numpy'];
const OLDEST_PYTHON = [3, 11] as const;

export interface KernelEnvironment {
  /** A program. */
  readonly python: string;
  readonly origin: 'SLIPWAY_PYTHON' | 'virtual environment';
  /** Whether pytest, ruff and mypy are there too. */
  readonly hasChecks: boolean;
}

/** `checks`: also what checks and tests the kernel. `cpu`: torch without what it needs for CUDA. */
export interface Extent {
  readonly checks: boolean;
  readonly cpu: boolean;
}

/** The environment as it is now, or undefined when it must be set up. */
export async function findKernelEnvironment(
  environment: NodeJS.ProcessEnv,
  kernel = KERNEL,
): Promise<KernelEnvironment | undefined> {
  const given = environment.SLIPWAY_PYTHON;
  if (given !== undefined && given !== '' && (await hasModules(given, NEEDED))) {
    return { python: given, origin: 'SLIPWAY_PYTHON', hasChecks: await hasModules(given, ['pytest', 'ruff', 'mypy']) };
  }
  const installed = await installedExtent(kernel);
  if (installed === undefined) return undefined;
  return { python: environmentIn(kernel).python, origin: 'virtual environment', hasChecks: installed.checks };
}

/** What the virtual environment was made with, or undefined when it is not there, not whole, or older than the lock files. */
export async function installedExtent(kernel: string): Promise<Extent | undefined> {
  const stamp = await readFile(environmentIn(kernel).stamp, 'utf8').catch(() => '');
  for (const checks of [true, false]) {
    for (const cpu of [true, false]) {
      if (stamp.trim() === (await fingerprint(kernel, { checks, cpu }))) return { checks, cpu };
    }
  }
  return undefined;
}

/** Changes with the lock files. */
export async function fingerprint(kernel: string, { checks, cpu }: Extent): Promise<string> {
  const files = ['requirements.lock', ...(checks ? ['requirements-dev.lock'] : [])];
  const hash = createHash('sha256').update(`${checks} ${cpu}\n`);
  for (const file of files) hash.update(await readFile(join(kernel, file)));
  return hash.digest('hex');
}

/** `[major, minor]`, or undefined when `program` is no Python. */
export async function pythonVersion(program: string): Promise<readonly [number, number] | undefined> {
  const text = await output(program, ['-c', 'import sys; print(*sys.version_info[:2])']);
  const [major, minor] = (text ?? '').trim().split(' ').map(Number);
  return major === undefined || minor === undefined ? undefined : [major, minor];
}

export function isRecentEnough([major, minor]: readonly [number, number]): boolean {
  return major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1];
}

/** Found, not imported: that would take seconds. */
async function hasModules(program: string, names: readonly string[]): Promise<boolean> {
  const version = await pythonVersion(program);
  if (version === undefined || !isRecentEnough(version)) return false;
  const code = `import importlib.util as u; print(all(u.find_spec(n) for n in ${JSON.stringify(names)}))`;
  return (await output(program, ['-c', code]))?.trim() === 'True';
}

async function output(program: string, args: readonly string[]): Promise<string | undefined> {
  return promisify(execFile)(program, [...args], { timeout: 60_000 }).then(
    ({ stdout }) => stdout,
    () => undefined,
  );
}
