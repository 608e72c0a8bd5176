/** Room made by taking from ended runs what can go, here and in their bucket. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { expect, it, onTestFinished } from 'vitest';
import { askRun } from './ask-run.ts';
import { freeRuns } from './free-runs.ts';
import { readRun, runFolder } from './run-folder.ts';
import { resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, newPlace, submitTiny } from './testing/tiny-run.ts';
import { workRuns } from './work-runs.ts';

const ALL = { dryRun: false, graceMs: 0, belowBytes: null };

it('frees an ended run and nothing of one that is paused, after saying so', async () => {
  const place = newPlace();
  const { dataFolder, queue } = place;
  const leave = new AbortController();
  const worked = workRuns({
    ...place,
    stages: fakeStages(dataFolder, { step_milliseconds: 100 }),
    signal: leave.signal,
  });
  onTestFinished(async () => {
    leave.abort();
    await worked;
  });
  const [failed, paused] = [await submitTiny(place), await submitTiny(place)];
  const state = async (id: string) => (await readRun(dataFolder, id)).state;
  const checkpoint = async (id: string) => (await readRun(dataFolder, id)).checkpoint_step;
  while ((await checkpoint(failed.id)) === null) await sleep(10);
  await askRun(dataFolder, queue, failed.id, 'cancelled');
  while ((await checkpoint(paused.id)) === null) await sleep(10);
  await askRun(dataFolder, queue, paused.id, 'paused');
  while ((await state(paused.id)) !== 'paused') await sleep(10);

  const bucket = openBucket(join(dataFolder, 'bucket'));
  const before = await bucket.fileSets('runs/');
  const verdictsOf = ({ runs }: Awaited<ReturnType<typeof freeRuns>>) => runs.map(({ run, kept }) => [run.id, kept]);
  const expected = [
    [failed.id, null],
    [paused.id, 'is paused and can be resumed'],
  ];
  expect(verdictsOf(await freeRuns(dataFolder, { ...ALL, graceMs: 86_400_000 }))[0]).toEqual([
    failed.id,
    'is kept for 1 more day',
  ]);
  expect(verdictsOf(await freeRuns(dataFolder, { ...ALL, belowBytes: 1 }))[0]).toEqual([
    failed.id,
    'there is room enough',
  ]);
  const said = await freeRuns(dataFolder, { ...ALL, dryRun: true });
  expect(verdictsOf(said)).toEqual(expected);
  expect(await bucket.fileSets('runs/')).toEqual(before);
  expect(existsSync(runFolder(dataFolder, failed.id).work)).toBe(true);

  const freed = await freeRuns(dataFolder, ALL);
  expect(verdictsOf(freed)).toEqual(expected);
  expect(freed.buckets).toEqual(said.buckets);
  expect(freed.bytes).toBe(said.bytes);
  expect(freed.bytes + (freed.buckets[0]?.bytes ?? 0)).toBeGreaterThan(0);
  expect(await bucket.fileSets('runs/')).toEqual(before.filter((name) => name.includes(paused.id)));
  expect(readdirSync(runFolder(dataFolder, failed.id).path)).toEqual(
    expect.arrayContaining(['events.jsonl', 'recipe.yaml', 'run.json']),
  );
  expect(existsSync(runFolder(dataFolder, failed.id).work)).toBe(false);
  expect(eventsOf(place, failed.id).at(-1)).toMatchObject({
    type: 'log',
    message: expect.stringMatching(/removed: \d+ bytes/),
  });
  expect(verdictsOf(await freeRuns(dataFolder, ALL))[0]).toEqual([failed.id, 'was freed before']);

  await resumeRun(dataFolder, queue, paused.id);
  while ((await state(paused.id)) !== 'succeeded') await sleep(10);
  expect(eventsOf(place, paused.id).filter(({ type }) => type === 'progress')).toHaveLength(60);
});

it('has nothing to free where there are no runs', async () => {
  const nothing = { runs: [], bytes: 0, buckets: [] };
  expect(await freeRuns(join(newPlace().dataFolder, 'not-there'), { ...ALL, belowBytes: 1e15 })).toEqual(nothing);
});
