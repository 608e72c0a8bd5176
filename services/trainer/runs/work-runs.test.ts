/** Runs from the queue to their end, with a kernel that trains nothing: what is asked of them, what fails, and who is killed meanwhile. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import { LeaseLostError } from '@slipway/shared/jobs/job-queue.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { askKernel } from '../publish/ask-kernel.ts';
import { askRun } from './ask-run.ts';
import { OpenRun } from './open-run.ts';
import { listRuns, readRun, runFolder, writeWish } from './run-folder.ts';
import type { RunRecord } from './run-record.ts';
import { hasEnded } from './run-state.ts';
import type { Stages } from './stages.ts';
import { jobIdOf, QUEUE, resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, lossCurve, newPlace, type Place, submitTiny } from './testing/tiny-run.ts';
import { workRuns } from './work-runs.ts';

/** Kill rounds: 50 take minutes. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 6);

/** A worker in this process, which leaves when the test ends. */
function work(place: Place, config: Record<string, unknown> = {}) {
  const leave = new AbortController();
  const stages = fakeStages(place.dataFolder, config);
  const worked = workRuns({ ...place, stages, signal: leave.signal, leaseMilliseconds: 5000 });
  onTestFinished(async () => {
    leave.abort();
    await worked;
  });
  return { leave: () => leave.abort(), worked };
}

async function until(place: Place, id: string, condition: (run: RunRecord) => boolean): Promise<RunRecord> {
  for (;;) {
    const run = await readRun(place.dataFolder, id);
    if (condition(run)) return run;
    await sleep(20);
  }
}

/** The run's record comes first, its job follows. */
async function settled({ queue }: Place, run: RunRecord, state: string): Promise<void> {
  while ((await queue.find(jobIdOf(run)))?.state !== state) await sleep(20);
}

const ended = ({ state }: RunRecord) => hasEnded(state);

async function undisturbedCurve(): Promise<ReadonlyMap<number, number>> {
  const place = newPlace();
  const { id } = await submitTiny(place);
  work(place);
  await until(place, id, ended);
  return lossCurve(eventsOf(place, id));
}

describe('a run', () => {
  it('is told of to who operates the worker, with how it ended', async () => {
    const place = newPlace();
    const lines: Record<string, unknown>[] = [];
    const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
    const log = createLogger({ service: 'test', level: 'info', destination });
    const { id } = await submitTiny(place);
    await workRuns({
      ...{ ...place, log, stages: fakeStages(place.dataFolder), signal: new AbortController().signal },
      isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
    });
    expect(lines).toEqual([
      expect.objectContaining({ run: id, name: 'tiny', owner: 'ada' }),
      expect.objectContaining({ run: id, state: 'succeeded', published: ['tiny@v001'] }),
    ]);
  });

  it('goes from the queue to a version, and says what happened', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place);
    const run = await until(place, id, ended);
    expect(run).toMatchObject({
      state: 'succeeded',
      published: ['tiny@v001'],
      attempts: 1,
      checkpoint_step: 60,
      lineage: { seeds: { training: 1 }, libraries: { torch: '0.0' }, data: [{ name: 'plays.txt' }] },
      trained: { step: 60 },
      failure: null,
    });
    const events = eventsOf(place, id);
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(events.flatMap((event) => (event.type === 'state' ? [event.state] : []))).toEqual([
      'preparing',
      'running',
      'publishing',
      'succeeded',
    ]);
    expect(lossCurve(events).size).toBe(60);
    await settled(place, run, 'completed');
  });

  it('is done after those that came before it', async () => {
    const place = newPlace();
    const first = await submitTiny(place);
    const second = await submitTiny(place);
    work(place);
    await until(place, second.id, ended);
    const [a, b] = [await readRun(place.dataFolder, first.id), await readRun(place.dataFolder, second.id)];
    expect((a.ended_at ?? '') <= (b.started_at ?? '')).toBe(true);
    expect((await listRuns(place.dataFolder)).map(({ state }) => state)).toEqual(['succeeded', 'succeeded']);
  });

  it('is paused between two steps, and resumed from there', async () => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place, { step_milliseconds: 20 });
    await until(place, id, ({ checkpoint_step }) => checkpoint_step !== null);
    await askRun(place.dataFolder, place.queue, id, 'paused');
    const paused = await until(place, id, ({ state }) => state === 'paused');
    expect(paused.ended_at).toBeNull();
    const steps = lossCurve(eventsOf(place, id)).size;
    expect(paused.checkpoint_step).toBe(steps);
    await resumeRun(place.dataFolder, place.queue, id);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', attempts: 2, queued: 2 });
    const events = eventsOf(place, id);
    expect(lossCurve(events)).toEqual(curve);
    // No step was done twice.
    expect(events.filter(({ type }) => type === 'progress')).toHaveLength(60);
  });

  it('goes on when it is resumed, although a pause was asked for that its worker did not live to grant', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    // Ctrl-C twice.
    await writeWish(runFolder(place.dataFolder, id), 'paused');
    await resumeRun(place.dataFolder, place.queue, id);
    work(place);
    expect(await until(place, id, (run) => ended(run) || run.state === 'paused')).toMatchObject({ state: 'succeeded' });
  });

  it('is paused when that is asked for while its model is written, which it then need not be again', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    const stages = fakeStages(place.dataFolder, { model_milliseconds: 500 });
    const publish: Stages['publish'] = async (run, prepared, kernels, tools) => {
      tools.signal.throwIfAborted();
      await stages.publish(run, prepared, kernels, tools);
    };
    const worked = workRuns({
      ...{ ...place, stages: { ...stages, publish }, signal: new AbortController().signal },
      isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
    });
    while (!eventsOf(place, id).some((event) => event.type === 'progress' && event.step === 60)) await sleep(10);
    await askRun(place.dataFolder, place.queue, id, 'paused');
    const paused = await Promise.race([worked, until(place, id, ({ state }) => state === 'paused')]);
    expect(paused).toMatchObject({ trained: { step: 60 }, published: [] });
    await resumeRun(place.dataFolder, place.queue, id);
    await worked;
    expect(await readRun(place.dataFolder, id)).toMatchObject({ state: 'succeeded', attempts: 1 });
  });

  it('is cancelled while it runs, while it is paused, and before it began', async () => {
    const place = newPlace();
    const running = await submitTiny(place);
    const waiting = await submitTiny(place);
    work(place, { step_milliseconds: 50 });
    await until(place, running.id, ({ checkpoint_step }) => checkpoint_step !== null);
    await askRun(place.dataFolder, place.queue, waiting.id, 'cancelled');
    expect(await readRun(place.dataFolder, waiting.id)).toMatchObject({ state: 'cancelled', started_at: null });
    await askRun(place.dataFolder, place.queue, running.id, 'paused');
    await until(place, running.id, ({ state }) => state === 'paused');
    await askRun(place.dataFolder, place.queue, running.id, 'cancelled');
    const cancelled = await readRun(place.dataFolder, running.id);
    expect(cancelled).toMatchObject({ state: 'cancelled' });
    expect(cancelled.ended_at).not.toBeNull();
    const again = await submitTiny(place);
    await until(place, again.id, ({ state }) => state === 'running');
    await askRun(place.dataFolder, place.queue, again.id, 'cancelled');
    expect(await until(place, again.id, ended)).toMatchObject({ state: 'cancelled', published: [] });
    await expect(askRun(place.dataFolder, place.queue, again.id, 'paused')).rejects.toMatchObject({ code: 'conflict' });
    await expect(resumeRun(place.dataFolder, place.queue, again.id)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is given back when its worker leaves, and goes on with the next one', async () => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    const first = work(place, { step_milliseconds: 20 });
    await until(place, id, ({ checkpoint_step }) => checkpoint_step !== null);
    first.leave();
    await first.worked;
    expect(await readRun(place.dataFolder, id)).toMatchObject({ state: 'queued' });
    work(place);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded' });
    expect(lossCurve(eventsOf(place, id))).toEqual(curve);
  });
});

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

it('says what it failed of to whoever hears that it has', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  const seen: unknown[] = [];
  const prepare: Stages['prepare'] = async (run) => {
    const log = run.log.bind(run);
    vi.spyOn(run, 'log').mockImplementation((event) => {
      if (event.type === 'state') seen.push(JSON.parse(readFileSync(run.folder.record, 'utf8')).failure?.class);
      log(event);
    });
    throw new AppError('not_found', 'there is nothing');
  };
  await workRuns({
    ...{ ...place, stages: { ...fakeStages(place.dataFolder), prepare }, signal: new AbortController().signal },
    isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
  });
  expect(seen).toEqual(['user_input']);
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

describe('a run whose kernel', () => {
  it('crashes goes on from its last checkpoint', async () => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place, { fault: { kind: 'segfault', step: 35, times: 2 } });
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', attempts: 3, retries: {} });
    const events = eventsOf(place, id);
    expect(lossCurve(events)).toEqual(curve);
    expect(events.flatMap((event) => (event.type === 'started' ? [event.resumed_from] : []))).toEqual([null, 30, 30]);
  });

  it('crashes waits no longer because workers have vanished before', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    for (let vanished = 0; vanished < 9; vanished++) {
      while ((await place.queue.claim(QUEUE, 1)) === undefined) await sleep(5);
    }
    work(place, { fault: { kind: 'segfault', step: 35, times: 1 } });
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded' });
    expect((await place.queue.find(jobIdOf(await readRun(place.dataFolder, id))))?.attempts).toBeGreaterThan(9);
  });

  it('crashes again and again is given up, and can be resumed when the reason is gone', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place, { fault: { kind: 'segfault', step: 35, times: 4 } });
    const failed = await until(place, id, ended);
    expect(failed).toMatchObject({ state: 'failed', attempts: 4, failure: { class: 'crashed' } });
    await settled(place, failed, 'failed');
    await resumeRun(place.dataFolder, place.queue, id);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', failure: null });
  });

  it('is killed while it reads the trained model back is tried again', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    const stages = fakeStages(place.dataFolder);
    let times = 0;
    const publish: Stages['publish'] = async (run, prepared, kernels, tools) => {
      times++;
      if (times === 1) {
        const command = [process.execPath, '-e', 'process.kill(process.pid, "SIGKILL")'] as const;
        const nothing = { model: '/model', passages: [], prompts: [], maxNewTokens: 1, stopIds: [] };
        const folder = join(run.folder.work, 'reference');
        const { signal } = tools;
        await askKernel({ ...nothing, folder, command, environment: process.env, onLine: () => {}, signal });
      }
      await stages.publish(run, prepared, kernels, tools);
    };
    await workRuns({
      ...{ ...place, stages: { ...stages, publish }, signal: new AbortController().signal },
      isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
    });
    expect(await readRun(place.dataFolder, id)).toMatchObject({ state: 'succeeded', attempts: 1 });
    const failures = eventsOf(place, id).flatMap((event) => (event.type === 'failure' ? [event.class] : []));
    expect(failures).toEqual(['crashed']);
  });

  it('runs out of memory computes half as much at once', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place, { fault: { kind: 'out_of_memory', step: 35, times: 2 } });
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', largest_micro_batch: 2 });
    const started = eventsOf(place, id).flatMap((event) => (event.type === 'started' ? [event] : []));
    expect(started.map((event) => [event.micro_batch_size, event.accumulation])).toEqual([
      [8, 1],
      [4, 2],
      [2, 4],
    ]);
  });

  it('loses its numbers is not tried again, and says at which example', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place, { fault: { kind: 'not_finite', step: 35, times: 1 } });
    expect(await until(place, id, ended)).toMatchObject({
      state: 'failed',
      attempts: 1,
      checkpoint_step: 30,
      failure: { class: 'not_finite', step: 35, example: 7 },
    });
  });
});

it('a bucket that cannot be written to is told in one line, and the run can be resumed', async () => {
  const place = newPlace();
  const { id } = await submitTiny(place);
  const file = join(place.dataFolder, 'file');
  writeFileSync(file, '');
  const publish: Stages['publish'] = async () => void mkdirSync(join(file, 'manifests'));
  await workRuns({
    ...{ ...place, stages: { ...fakeStages(place.dataFolder), publish }, signal: new AbortController().signal },
    isDone: async () => hasEnded((await readRun(place.dataFolder, id)).state),
  });
  expect(await readRun(place.dataFolder, id)).toMatchObject({
    state: 'failed',
    failure: { class: 'user_input', message: `ENOTDIR: not a directory, mkdir '${join(file, 'manifests')}'` },
  });
});

describe('a full disk', () => {
  it('is told; when there is room the run goes on, and nothing is torn', async (context) => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    const folder = runFolder(place.dataFolder, id).path;
    // The queue and the record of the run lie elsewhere than what grows: only its folder is small.
    const before = readFileSync(join(folder, 'run.json'));
    const recipe = readFileSync(join(folder, 'recipe.yaml'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'slipway-test', folder]).status !== 0) {
      return context.skip('mounting a tmpfs is not permitted here');
    }
    onTestFinished(() => void spawnSync('umount', [folder]));
    mkdirSync(join(folder, 'work'));
    writeFileSync(join(folder, 'run.json'), before);
    writeFileSync(join(folder, 'recipe.yaml'), recipe);
    writeFileSync(join(folder, 'events.jsonl'), '');
    const leave = new AbortController();
    const stages = fakeStages(place.dataFolder, { step_milliseconds: 5 });
    const first = workRuns({ ...place, stages, signal: leave.signal, leaseMilliseconds: 500 });
    const rejected = first.then(
      () => undefined,
      (error: unknown) => error,
    );
    // Whichever meets it: the kernel's checkpoint, which is tried again, or the worker's own writing, which ends it.
    const told = await Promise.race([rejected, until(place, id, ({ failure }) => failure !== null)]);
    expect(told).toMatchObject(
      told instanceof Error ? { code: 'disk_full' } : { failure: { class: 'disk_full' }, published: [] },
    );
    expect(spawnSync('mount', ['-o', 'remount,size=8m', folder]).status).toBe(0);
    leave.abort();
    await rejected;
    work(place);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded' });
    const events = eventsOf(place, id);
    expect(lossCurve(events)).toEqual(curve);
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(events.filter(({ type }) => type === 'started').length).toBeGreaterThan(1);
  });
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
        const pid = kernelOf(place, id);
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

/** Undefined when none is there now. */
function kernelOf(place: Place, id: string): number | undefined {
  try {
    const pid = Number(readFileSync(runFolder(place.dataFolder, id).kernel, 'utf8').split('-')[1]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
