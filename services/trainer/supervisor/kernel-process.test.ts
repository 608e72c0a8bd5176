/** One misbehaving kernel per way to fail, each a real process: whatever it does, there is one outcome and nothing of it stays. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type KernelLimits, type KernelProcess, startKernel } from './kernel-process.ts';
import type { KernelEvent } from './kernel-protocol.ts';

function start(name: string, limits: Partial<KernelLimits> = {}, job: object = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-kernel-'));
  const jobFile = join(folder, 'job.json');
  writeFileSync(jobFile, JSON.stringify(job));
  const events: KernelEvent[] = [];
  const printed: string[] = [];
  const program = fileURLToPath(new URL(`./testing/${name}.ts`, import.meta.url));
  const kernel = startKernel({
    command: [process.execPath, program],
    limits,
    onEvent: (event) => events.push(event),
    onLine: (line) => printed.push(line),
  });
  kernel.begin(jobFile);
  onTestFinished(async () => {
    kernel.kill('the test has ended');
    await kernel.outcome;
    rmSync(folder, { recursive: true });
  });
  return { kernel, events, printed };
}

async function failureOf(kernel: KernelProcess) {
  const outcome = await kernel.outcome;
  if (outcome.kind !== 'failed') throw new Error(`it did not fail: ${JSON.stringify(outcome)}`);
  return outcome.failure;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe('a kernel that does its work', () => {
  it('is told its job, tells its steps, and is done', async () => {
    const { kernel, events } = start('works', {}, { steps: 3 });
    expect(await kernel.outcome).toEqual({ kind: 'done', result: { step: 3 } });
    expect(events.map((event) => event.type === 'checkpoint' && event.step)).toEqual([1, 2, 3]);
    expect(isAlive(kernel.pid)).toBe(false);
  });

  it('stops between two steps when it is paused, and says where its checkpoint is', async () => {
    const { kernel, events } = start('works');
    await until(() => events.length > 2);
    kernel.pause();
    expect(await kernel.outcome).toEqual({ kind: 'stopped', reason: 'paused', checkpoint: '/checkpoint' });
  });

  it('stops between two steps when it is cancelled', async () => {
    const { kernel, events } = start('works');
    await until(() => events.length > 0);
    kernel.cancel();
    expect(await kernel.outcome).toEqual({ kind: 'stopped', reason: 'cancelled', checkpoint: null });
  });

  it('may print as much as it likes', async () => {
    const { kernel, events, printed } = start('noisy');
    expect(await kernel.outcome).toEqual({ kind: 'done', result: { lines: 5000 } });
    expect(events).toHaveLength(5000);
    expect(printed).toHaveLength(20_002);
    expect(Math.max(...printed.map(({ length }) => length))).toBe(2000);
    expect(printed.at(-1)).toBe('last words');
  });

  it('has one last word, and takes what it started with it', async () => {
    const { kernel } = start('leaves-a-child');
    const outcome = await kernel.outcome;
    expect(outcome.kind).toBe('done');
    const child = outcome.kind === 'done' ? Number(outcome.result.child) : 0;
    expect(child).toBeGreaterThan(1);
    await until(() => !isAlive(child));
  });
});

describe('a kernel that fails', () => {
  it.each([
    ['crashes', 'internal', 'RuntimeError: shape mismatch'],
    ['segfaults', 'crashed', 'SIGSEGV'],
    ['is-killed', 'crashed', 'SIGKILL'],
    ['garbage', 'protocol', 'it wrote no JSON: Downloading: 100%'],
    ['breaks-the-protocol', 'protocol', 'no message of its protocol (step: '],
    ['too-long', 'protocol', 'more than 1048576 bytes'],
    ['wrong-version', 'protocol', 'protocol 7, this program 1'],
    ['says-nothing-at-the-end', 'internal', 'exited with code 0 and said no reason'],
  ])('%s: is %s', async (name, kind, words) => {
    const { kernel } = start(name);
    expect(await failureOf(kernel)).toMatchObject({ class: kind, message: expect.stringContaining(words) });
    expect(isAlive(kernel.pid)).toBe(false);
  });

  it('hangs: is ended when it gives no sign of life', async () => {
    const { kernel } = start('hangs', { heartbeat: 300 });
    expect(await failureOf(kernel)).toMatchObject({
      class: 'stuck',
      message: expect.stringContaining('no sign of life'),
    });
  });

  it('gets no further: is ended although its heart beats', async () => {
    const { kernel } = start('gets-no-further', { progress: 600 });
    expect(await failureOf(kernel)).toMatchObject({
      class: 'stuck',
      message: expect.stringContaining('got no further'),
    });
  });

  it('never says hello: is ended', async () => {
    const { kernel } = start('silent', { hello: 500 });
    expect(await failureOf(kernel)).toMatchObject({
      class: 'stuck',
      message: expect.stringContaining('after its start'),
    });
  });

  it('does not stop when it is asked to, nor on SIGTERM: is killed, and has stopped', async () => {
    const { kernel, events } = start('gets-no-further', { stop: 50, leave: 50 });
    await sleep(300);
    kernel.pause();
    expect(await kernel.outcome).toEqual({ kind: 'stopped', reason: 'paused', checkpoint: null });
    expect(events).toEqual([]);
  });

  it('cannot be started at all', async () => {
    const kernel = startKernel({ command: ['/nowhere/python'] });
    expect(await failureOf(kernel)).toMatchObject({
      class: 'environment',
      message: expect.stringContaining('./slipway setup trainer'),
    });
  });
});
