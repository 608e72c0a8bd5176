import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { describe, expect, it } from 'vitest';
import { askRun } from './ask-run.ts';
import { listRuns, readRun, runFolder, writeWish } from './run-folder.ts';
import { hasEnded } from './run-state.ts';
import type { Stages } from './stages.ts';
import { resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, lossCurve, newPlace, submitTiny } from './testing/tiny-run.ts';
import { ended, settled, undisturbedCurve, until, work } from './testing/work-here.ts';
import { workRuns } from './work-runs.ts';

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
