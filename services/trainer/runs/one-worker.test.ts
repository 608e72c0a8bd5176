/** A run is worked on by one worker at a time and loses nothing, whoever is killed, held up or forgotten meanwhile. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import { LeaseLostError } from '@slipway/shared/jobs/job-queue.ts';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { OpenRun } from './open-run.ts';
import { listRuns, readRun, runFolder } from './run-folder.ts';
import { hasEnded } from './run-state.ts';
import { QUEUE, resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { kernelOf } from './testing/kernel-of.ts';
import { eventsOf, lossCurve, newPlace, submitTiny } from './testing/tiny-run.ts';
import { ended, undisturbedCurve, until, work } from './testing/work-here.ts';
import { workRuns } from './work-runs.ts';

/** Kill rounds: 50 take minutes. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 6);

it('is worked on by one worker, although the job of before it was resumed is there still', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  // A worker that pauses it, and is killed before it has ended the job.
  await place.queue.claim(QUEUE, 1);
  const run = await OpenRun.open(place.dataFolder, id);
  await run.apply('taken', 'begins');
  await run.apply('paused', 'is paused');
  run.close();
  await resumeRun(place.dataFolder, place.queue, id);
  for (let workers = 0; workers < 2; workers++) work(place);
  const done = await until(place, id, ended);
  expect(done).toMatchObject({ state: 'succeeded', attempts: 1 });
  expect(eventsOf(place, id).filter(({ type }) => type === 'started')).toHaveLength(1);
  for (const name of [`${id}.1`, `${id}.2`]) {
    while ((await place.queue.find(name))?.state !== 'completed') await sleep(20);
  }
});

it('is written by the worker that took it up last, also when one before it does not know that yet', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  const first = openEmbeddedQueue(join(place.dataFolder, 'jobs.db'));
  // As of a machine that was held up: neither does it beat, nor is it told that others have taken over.
  vi.spyOn(first, 'heartbeat').mockResolvedValue(false);
  const stages = fakeStages(place.dataFolder, { step_milliseconds: 20 });
  const signal = new AbortController().signal;
  let isOver = false;
  const heldUp = workRuns({
    ...place,
    queue: first,
    stages,
    signal,
    leaseMilliseconds: 300,
    isDone: async () => isOver,
  });
  await until(place, id, ({ checkpoint_step }) => checkpoint_step !== null);
  work(place, { step_milliseconds: 5 });
  const done = await until(place, id, ended);
  isOver = true;
  await heldUp;
  await first.close();
  expect(done).toMatchObject({ state: 'succeeded', attempts: 2, retries: {} });
  expect(await readRun(place.dataFolder, id)).toEqual(done);
  const events = eventsOf(place, id);
  expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
  expect(events.filter(({ type }) => type === 'failure')).toEqual([]);
});

it('is not begun by a worker that was told to leave while it took it', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  const leave = new AbortController();
  const claim = place.queue.claim.bind(place.queue);
  vi.spyOn(place.queue, 'claim').mockImplementation(async (queue, lease) => {
    const claimed = await claim(queue, lease);
    leave.abort();
    return claimed;
  });
  await workRuns({ ...place, stages: fakeStages(place.dataFolder), signal: leave.signal });
  expect(await readRun(place.dataFolder, id)).toMatchObject({ state: 'queued', attempts: 0 });
  expect(await place.queue.find(`${id}.1`)).toMatchObject({ state: 'waiting' });
});

it('holds nobody up when its record is damaged, and can be resumed once that is mended', async () => {
  const place = newPlace();
  const damaged = await submitTiny(place);
  const { id } = await submitTiny(place);
  const { record } = runFolder(place.dataFolder, damaged.id);
  const text = readFileSync(record);
  writeFileSync(record, text.subarray(0, text.length / 2));
  work(place);
  await until(place, id, ended);
  const told: string[] = [];
  expect((await listRuns(place.dataFolder, (one) => told.push(one))).map((run) => run.id)).toEqual([id]);
  expect(told).toEqual([damaged.id]);
  await expect(resumeRun(place.dataFolder, place.queue, damaged.id)).rejects.toMatchObject({ code: 'invalid_source' });
  writeFileSync(record, text);
  await resumeRun(place.dataFolder, place.queue, damaged.id);
  expect(await until(place, damaged.id, ended)).toMatchObject({ state: 'succeeded', queued: 2 });
});

it('goes on when the queue has forgotten it', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  let isForgotten = false;
  const { heartbeat, find, enqueue } = place.queue;
  vi.spyOn(place.queue, 'heartbeat').mockImplementation(async (claim, progress) => {
    if (eventsOf(place, id).every(({ type }) => type !== 'checkpoint'))
      return heartbeat.call(place.queue, claim, progress);
    isForgotten = true;
    throw new LeaseLostError('forgotten');
  });
  vi.spyOn(place.queue, 'find').mockImplementation(async (name) =>
    isForgotten ? undefined : find.call(place.queue, name),
  );
  const again = vi.spyOn(place.queue, 'enqueue').mockImplementation((job) => enqueue.call(place.queue, job));
  work(place, { step_milliseconds: 20 });
  while (again.mock.calls.length === 0) await sleep(20);
  expect(again.mock.calls[0]?.[0]).toMatchObject({ id: `${id}.1`, payload: { run: id } });
});

it('is told of one sign of life at a time, however slow the queue is', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  let open = 0;
  let most = 0;
  let beats = 0;
  const heartbeat = place.queue.heartbeat.bind(place.queue);
  vi.spyOn(place.queue, 'heartbeat').mockImplementation(async (claim, progress) => {
    most = Math.max(most, ++open);
    await sleep(150);
    open--;
    beats++;
    return heartbeat(claim, progress);
  });
  await workRuns({
    ...{ ...place, leaseMilliseconds: 100 },
    ...{ stages: fakeStages(place.dataFolder, { step_milliseconds: 10 }), signal: new AbortController().signal },
    isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
  });
  expect([beats > 0, most]).toEqual([true, 1]);
});

describe('killed', () => {
  it('workers and kernels lose nothing: the same curve, published once', async () => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    const program = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
    const config = JSON.stringify({ step_milliseconds: 15 });
    const start = () => {
      const child = spawn(process.execPath, [program, place.dataFolder, config], {
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      return { child, closed: once(child, 'close') };
    };
    let worker = start();
    onTestFinished(() => void worker.child.kill('SIGKILL'));
    for (let round = 0; round < ROUNDS; round++) {
      await sleep(300 + Math.random() * 900);
      if (hasEnded((await readRun(place.dataFolder, id)).state)) break;
      if (round % 2 === 0) {
        const pid = kernelOf(place.dataFolder, id);
        if (pid !== undefined) process.kill(pid, 'SIGKILL');
        continue;
      }
      worker.child.kill('SIGKILL');
      await worker.closed;
      worker = start();
    }
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded' });
    await worker.closed;
    const events = eventsOf(place, id);
    expect(lossCurve(events)).toEqual(curve);
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(readFileSync(join(place.dataFolder, 'published'), 'utf8')).toBe(`${id}\n`);
  }, 600_000);
});
