/** Two machines that train together, both of them this one: the run of one process, spread, and the next one too. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { kernelMissing, lossCurve, newTrainPlace, TINY_GPT2 } from './testing/train-command.ts';

const ARGS = ['train', ...TINY_GPT2, '--set', 'training.max_steps=12', '--follow'];

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === 'string') throw new Error('there is no port');
  return address.port;
}

it.skipIf(kernelMissing)(
  `two machines take the steps of one, run after run${kernelMissing}`,
  { timeout: 600_000 },
  async () => {
    const alone = await newTrainPlace();
    expect(await alone.slipway(ARGS)).toMatchObject({ code: 0 });
    const environment = { MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
    const place = await newTrainPlace(environment);
    let other: ChildProcess | undefined;
    const left = place.slipway(['trainer', 'join', '--nodes', '2', '--rank', '1'], (child) => {
      other = child;
    });
    onTestFinished(() => void other?.kill('SIGKILL'));
    for (let round = 1; round <= 2; round++) {
      expect(await place.slipway([...ARGS, '--set', 'training.nodes=2'])).toMatchObject({ code: 0 });
      const { id, hardware } = await place.run();
      expect(hardware.device).toBe('cpu, fp32, 2 processes');
      const [together, one] = [lossCurve(place.events(id)), lossCurve(alone.events((await alone.run()).id))];
      expect([...together.keys()]).toEqual([...one.keys()]);
      for (const [step, loss] of together) expect(loss).toBeCloseTo(one.get(step) ?? Number.NaN, 3);
    }
    other?.kill('SIGINT');
    expect(await left).toMatchObject({ code: 130, stderr: expect.stringContaining('a training has ended') });
  },
);

/** All that a process has started, and what that has; Linux keeps them in a file. */
function descendants(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  const children = existsSync(file) ? readFileSync(file, 'utf8').split(' ').filter(Boolean).map(Number) : [];
  return children.flatMap((child) => [child, ...descendants(child)]);
}

const isRunning = (pid: number) =>
  existsSync(`/proc/${pid}/stat`) && !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

it.skipIf(kernelMissing || process.platform !== 'linux')(
  `a machine that is killed leaves nothing that goes on, waiting or training${kernelMissing}`,
  { timeout: 600_000 },
  async () => {
    const environment = { MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
    const place = await newTrainPlace(environment);
    const start = async (args: readonly string[]) => {
      const started = Promise.withResolvers<ChildProcess>();
      const gone = place.slipway(args, started.resolve);
      const child = await started.promise;
      onTestFinished(() => void child.kill('SIGKILL'));
      return {
        pid: child.pid ?? 0,
        async kill() {
          const itsOwn = descendants(child.pid ?? 0);
          child.kill('SIGKILL');
          await gone;
          while (itsOwn.some(isRunning)) await sleep(50);
        },
      };
    };
    const join = ['trainer', 'join', '--nodes', '2', '--rank', '1'];
    const waiting = await start(join);
    // What it starts comes with a training.
    while (descendants(waiting.pid).length < 1) await sleep(50);
    await waiting.kill();

    const leader = await start([...ARGS, '--set', 'training.nodes=2', '--set', 'training.max_steps=1000000']);
    const other = await start(join);
    const { id } = await place.run();
    while (!place.events(id).some(({ type }) => type === 'progress')) await sleep(50);
    expect(descendants(other.pid).length).toBeGreaterThan(1);
    await other.kill();
    await leader.kill();
  },
);

it.skipIf(kernelMissing)(`says what machines need to meet${kernelMissing}`, { timeout: 120_000 }, async () => {
  const place = await newTrainPlace({ MASTER_ADDR: '' });
  const joined = await place.slipway(['trainer', 'join', '--nodes', '2', '--rank', '1']);
  expect(joined).toMatchObject({ code: 2, stderr: expect.stringContaining('MASTER_ADDR') });
  const tooMany = await place.slipway(['trainer', 'join', '--nodes', '2', '--rank', '2']);
  expect(tooMany).toMatchObject({ code: 2, stderr: expect.stringContaining('those that join are 1 to 1') });
  const led = await place.slipway([...ARGS, '--set', 'training.nodes=2']);
  expect(led).toMatchObject({ code: 2, stdout: expect.stringContaining('MASTER_ADDR') });
});
