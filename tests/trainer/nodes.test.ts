/** Two machines that train together, both of them this one: the run of one process, spread, and the next one too. */
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
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

it.skipIf(kernelMissing)(`says what machines need to meet${kernelMissing}`, { timeout: 120_000 }, async () => {
  const place = await newTrainPlace({ MASTER_ADDR: '' });
  const joined = await place.slipway(['trainer', 'join', '--nodes', '2', '--rank', '1']);
  expect(joined).toMatchObject({ code: 2, stderr: expect.stringContaining('MASTER_ADDR') });
  const tooMany = await place.slipway(['trainer', 'join', '--nodes', '2', '--rank', '2']);
  expect(tooMany).toMatchObject({ code: 2, stderr: expect.stringContaining('those that join are 1 to 1') });
  const led = await place.slipway([...ARGS, '--set', 'training.nodes=2']);
  expect(led).toMatchObject({ code: 2, stdout: expect.stringContaining('MASTER_ADDR') });
});
