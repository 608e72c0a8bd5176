/** What a run fails of, and what becomes of it then: its kernel, its bucket, its disk. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { askKernel } from '../publish/ask-kernel.ts';
import { readRun, runFolder } from './run-folder.ts';
import { hasEnded } from './run-state.ts';
import type { Stages } from './stages.ts';
import { jobIdOf, QUEUE, resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, lossCurve, newPlace, submitTiny } from './testing/tiny-run.ts';
import { ended, settled, undisturbedCurve, until, work } from './testing/work-here.ts';
import { workRuns } from './work-runs.ts';

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
