/**
 * Makes the kernel's virtual environment from its lock files: python -m venv, a pinned uv, packages by their hashes. What was begun and
 * not finished is begun again. Owns the order of these and what to do when one fails; prints nothing itself.
 */
import { spawn } from 'node:child_process';
import { open, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import {
  type Extent,
  environmentIn,
  findKernelEnvironment,
  fingerprint,
  installedExtent,
  isRecentEnough,
  KERNEL,
  type KernelEnvironment,
  pythonVersion,
} from './kernel-environment.ts';
import { withoutCuda } from './without-cuda.ts';

const NEEDED_BYTES = { gpu: 7e9, cpu: 2e9 };
const WAIT_MILLISECONDS = 500;

export interface SetUpOptions extends Extent {
  readonly environment: NodeJS.ProcessEnv;
  /** The kernel's folder, with its lock files. */
  readonly kernel?: string;
  /** What begins now, for people. */
  readonly onPhase: (phase: string) => void;
  /** A line that pip or uv wrote: their progress. */
  readonly onLine: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Gives the environment that is there, or makes it. AppError says what is missing on this machine and what to do. */
export async function setUpKernel(options: SetUpOptions): Promise<KernelEnvironment> {
  const there = await enough(options);
  if (there !== undefined) return there;
  const release = await takeLock(options);
  try {
    // Another process may have made it while this one waited.
    const made = await enough(options);
    if (made !== undefined) return made;
    await make(options);
  } finally {
    await release();
  }
  return {
    python: environmentIn(options.kernel ?? KERNEL).python,
    origin: 'virtual environment',
    hasChecks: options.checks,
  };
}

async function enough({
  environment,
  kernel = KERNEL,
  checks,
  cpu,
}: SetUpOptions): Promise<KernelEnvironment | undefined> {
  const found = await findKernelEnvironment(environment, kernel);
  if (found === undefined || (checks && !found.hasChecks)) return undefined;
  // An environment with CUDA computes on a CPU as well; asked for by name, the smaller one is made.
  if (cpu && found.origin === 'virtual environment' && !(await installedExtent(kernel))?.cpu) return undefined;
  return found;
}

/** What a training imports. */
const IMPORTS = [
  'torch',
  'transformers.modeling_utils',
  ...['gpt2', 'llama', 'qwen3'].map((family) => `transformers.models.${family}.modeling_${family}`),
  'peft',
];

async function make(options: SetUpOptions): Promise<void> {
  const { kernel = KERNEL, checks, cpu, onPhase } = options;
  const { venv, python: venvPython, stamp } = environmentIn(kernel);
  const python = await findPython(options.environment);
  const needed = cpu ? NEEDED_BYTES.cpu : NEEDED_BYTES.gpu;
  await rm(venv, { recursive: true, force: true });
  const { bavail, bsize } = await statfs(kernel);
  if (bavail * bsize < needed) {
    throw new AppError(
      'disk_full',
      `setting up the trainer takes ${needed / 1e9} GB, and ${(bavail * bsize) / 1e9} GB are free where ${kernel} is. Free some${cpu ? '' : ', or leave out what only GPUs need: ./slipway setup trainer --cpu'}.`,
    );
  }
  onPhase(`making a virtual environment with ${python}`);
  await run(python, ['-m', 'venv', venv], options);
  await run(
    venvPython,
    [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--require-hashes',
      '-r',
      join(kernel, 'requirements-installer.lock'),
    ],
    options,
  );

  const install = [join(venv, 'bin', 'uv'), 'pip', 'install', '--python', venvPython] as const;
  const checksLock = checks ? ['-r', join(kernel, 'requirements-dev.lock')] : [];
  if (cpu) {
    const { rest, torch } = withoutCuda(await readFile(join(kernel, 'requirements.lock'), 'utf8'));
    const file = join(venv, 'requirements-cpu.lock');
    await writeFile(file, rest);
    onPhase('installing torch without CUDA (about 1 GB)');
    await run(install[0], [...install.slice(1), '--torch-backend', 'cpu', torch], options);
    onPhase('installing the rest');
    await run(install[0], [...install.slice(1), '--no-deps', '--require-hashes', '-r', file, ...checksLock], options);
  } else {
    onPhase('installing torch and what it runs on (about 6 GB)');
    await run(
      install[0],
      [...install.slice(1), '--require-hashes', '-r', join(kernel, 'requirements.lock'), ...checksLock],
      options,
    );
  }
  onPhase('trying it out');
  // Imported once, libraries lie there compiled. Where the environment says that Python writes nothing (many containers), or may write
  // nothing, every start would compile them anew, for eight seconds; all of what is installed would take a minute.
  await run(venvPython, ['-c', `import ${IMPORTS.join(', ')}`], options, { PYTHONDONTWRITEBYTECODE: '' });
  await writeFile(stamp, `${await fingerprint(kernel, { checks, cpu })}\n`);
}

/** SLIPWAY_PYTHON when it is set, else the first on the path that is recent enough. */
async function findPython(environment: NodeJS.ProcessEnv): Promise<string> {
  const given = environment.SLIPWAY_PYTHON;
  const candidates = given ? [given] : ['python3', 'python3.13', 'python3.12', 'python3.11'];
  const seen: string[] = [];
  for (const program of candidates) {
    const version = await pythonVersion(program);
    if (version !== undefined && isRecentEnough(version)) return program;
    if (version !== undefined) seen.push(`${program} is ${version.join('.')}`);
  }
  const found = seen.length === 0 ? `${candidates.join(', ')}: none of them runs` : seen.join(', ');
  throw new AppError(
    'not_found',
    `the trainer needs Python 3.11 or newer (${found}). Install it (Debian: apt-get install python3 python3-venv), or name one in SLIPWAY_PYTHON.`,
  );
}

async function run(
  program: string,
  args: readonly string[],
  { onLine, signal }: SetUpOptions,
  environment: NodeJS.ProcessEnv = {},
): Promise<void> {
  const child = spawn(program, [...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
    ...(signal ? { signal } : {}),
  });
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      tail.push(line);
      if (tail.length > 20) tail.shift();
      onLine(line);
    });
  }
  const exitCode = await new Promise<number | null>((settle, fail) => {
    child.once('error', fail);
    child.once('close', settle);
  });
  if (exitCode === 0) return;
  const said = tail.join('\n');
  const text = `setting up the trainer failed at ${program} ${args.slice(0, 3).join(' ')}:\n${said}`;
  if (/no space left|os error 28|disk quota/i.test(said)) throw new AppError('disk_full', text);
  if (/ensurepip|No module named venv/.test(said)) {
    throw new AppError('not_found', `${text}\nThis Python comes without venv. Debian: apt-get install python3-venv`);
  }
  if (/^(ImportError|ModuleNotFoundError|OSError): /m.test(said)) throw new AppError('internal', text);
  throw new AppError(
    'source_unavailable',
    `${text}\nPackages come from the index that pip and uv are set up for. Run it again when the network is there: what was downloaded is kept.`,
  );
}

/** One set-up at a time, of all processes of this machine. A lock whose owner is gone is nobody's. */
async function takeLock({ kernel = KERNEL, onPhase, signal }: SetUpOptions): Promise<() => Promise<void>> {
  const { lock } = environmentIn(kernel);
  for (let waited = false; ; waited = true) {
    try {
      const file = await open(lock, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(lock, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const owner = Number(await readFile(lock, 'utf8').catch(() => ''));
    if (owner > 0 && !isAlive(owner)) await rm(lock, { force: true });
    else {
      if (!waited) onPhase('waiting for another set-up');
      await sleep(WAIT_MILLISECONDS, undefined, signal ? { signal } : {});
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
