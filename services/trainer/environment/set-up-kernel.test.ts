import { mkdtempSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { environmentIn, findKernelEnvironment, KERNEL } from './kernel-environment.ts';
import { type SetUpOptions, setUpKernel } from './set-up-kernel.ts';
import { withoutCuda } from './without-cuda.ts';

/** A program that answers as Python does where a set-up asks it, writes down what it is called with, and fails where it is told to. */
const FAKE = `#!/bin/sh
case "$*" in
  *version_info*) cat "$FAKE/version"; exit ;;
  *find_spec*) cat "$FAKE/modules"; exit ;;
esac
echo "$(basename "$0") $*" >> "$FAKE/calls"
if [ -f "$FAKE/fails" ] && echo "$*" | grep -qe "$(cat "$FAKE/fails")"; then cat "$FAKE/says" >&2; exit 1; fi
if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; cp "$0" "$3/bin/uv"; fi
`;
const root = mkdtempSync(join(tmpdir(), 'slipway-set-up-'));
let fake: string;
let number = 0;

beforeEach(async () => {
  fake = join(root, String(number++));
  await mkdir(fake);
  await write({ version: '3 11', modules: 'False', calls: '' });
  await writeFile(join(fake, 'python3'), FAKE);
  await chmod(join(fake, 'python3'), 0o755);
  for (const file of ['requirements.lock', 'requirements-dev.lock'])
    await copyFile(join(KERNEL, file), join(fake, file));
  process.env.FAKE = fake;
});
afterAll(() => rm(root, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(fake, name), text);
}

function setUp(changes: Partial<SetUpOptions> = {}, phases: string[] = []) {
  return setUpKernel({
    environment: { SLIPWAY_PYTHON: join(fake, 'python3') },
    kernel: fake,
    checks: false,
    cpu: false,
    onPhase: (phase) => phases.push(phase),
    onLine: () => {},
    ...changes,
  });
}

const calls = async () => (await readFile(join(fake, 'calls'), 'utf8')).trim().split('\n');

it('makes the environment once, and again when a lock file has changed', async () => {
  expect(await setUp()).toEqual({
    python: environmentIn(fake).python,
    origin: 'virtual environment',
    hasChecks: false,
  });
  const [venv, uv, packages, tried, ...more] = await calls();
  expect(venv).toBe(`python3 -m venv ${join(fake, '.venv')}`);
  expect(uv).toContain('python -m pip install --quiet --disable-pip-version-check --require-hashes');
  expect(packages).toContain('uv pip install');
  expect(packages).toContain('--require-hashes');
  expect(tried).toContain('python -c import torch');
  expect(more).toEqual([]);

  await setUp();
  expect(await calls()).toHaveLength(4);
  await writeFile(join(fake, 'requirements.lock'), 'torch==9.9 --hash=sha256:00\n');
  await setUp();
  expect(await calls()).toHaveLength(8);
});

it('adds what checks the kernel to an environment that has it not', async () => {
  await setUp();
  expect((await findKernelEnvironment({}, fake))?.hasChecks).toBe(false);
  expect((await setUp({ checks: true })).hasChecks).toBe(true);
  expect((await calls()).at(-2)).toContain('requirements-dev.lock');
  await setUp();
  expect(await calls()).toHaveLength(8);
});

it('begins again what failed half way', async () => {
  await write({ fails: '--python', says: 'error: Failed to fetch the index' });
  await expect(setUp()).rejects.toMatchObject({
    code: 'source_unavailable',
    message: expect.stringContaining('Failed to fetch the index'),
  });
  expect(await findKernelEnvironment({}, fake)).toBeUndefined();
  await rm(join(fake, 'fails'));
  expect((await setUp()).python).toBe(environmentIn(fake).python);
  expect((await calls()).filter((call) => call.includes('-m venv'))).toHaveLength(2);
});

it('is not done when what it installed cannot be imported', async () => {
  await write({ fails: 'import torch', says: 'OSError: libgomp.so.1: cannot open shared object file' });
  await expect(setUp()).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('libgomp') });
  expect(await findKernelEnvironment({}, fake)).toBeUndefined();
});

it('says that the disk is full', async () => {
  await write({ fails: '--python', says: 'No space left on device (os error 28)' });
  await expect(setUp()).rejects.toMatchObject({ code: 'disk_full' });
});

it('says which package a Python without venv needs', async () => {
  await write({
    fails: 'venv',
    says: 'The virtual environment was not created successfully because ensurepip is not available.',
  });
  await expect(setUp()).rejects.toThrow('apt-get install python3-venv');
});

it('refuses a Python that is too old, or none', async () => {
  await write({ version: '3 10' });
  await expect(setUp()).rejects.toThrow('needs Python 3.11 or newer');
  await expect(setUp()).rejects.toThrow('is 3.10');
  await expect(setUp({ environment: { SLIPWAY_PYTHON: '/nowhere/python' } })).rejects.toThrow('none of them runs');
});

it('takes a Python that has everything as it is', async () => {
  await write({ modules: 'True' });
  expect(await setUp()).toEqual({ python: join(fake, 'python3'), origin: 'SLIPWAY_PYTHON', hasChecks: true });
  expect(await calls()).toEqual(['']);
});

it('waits for another set-up, and not for one that died', async () => {
  await writeFile(environmentIn(fake).lock, String(process.pid));
  const phases: string[] = [];
  const first = setUp({}, phases);
  await expect.poll(() => phases).toContain('waiting for another set-up');
  await rm(environmentIn(fake).lock);
  await first;

  await rm(environmentIn(fake).stamp);
  // No process has this number: it is above what Linux gives.
  await writeFile(environmentIn(fake).lock, '99999999');
  await setUp();
});

it('leaves out what only GPUs need', async () => {
  await setUp({ cpu: true });
  const [, , torch, rest] = await calls();
  expect(torch).toMatch(/--torch-backend cpu torch==[0-9.]+$/);
  expect(rest).toContain('--no-deps --require-hashes');
  const lock = await readFile(join(KERNEL, 'requirements.lock'), 'utf8');
  const cpu = withoutCuda(lock);
  expect(cpu.rest).not.toMatch(/^(torch|triton|nvidia|cuda)/m);
  expect(cpu.rest).toContain('\ntransformers==');
  expect(lock.match(/^\S+==/gm)?.length).toBeGreaterThan(cpu.rest.match(/^\S+==/gm)?.length ?? 0);
  expect(lock).not.toMatch(/https?:/);
});
