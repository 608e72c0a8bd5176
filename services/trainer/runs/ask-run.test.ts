/** What many ask of a run at once: who clicks twice asks for one thing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { askRun } from './ask-run.ts';
import { readRun } from './run-folder.ts';
import { jobIdOf, QUEUE, resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { newPlace, submitTiny } from './testing/tiny-run.ts';
import { workRuns } from './work-runs.ts';

const TWENTY = Array.from({ length: 20 });

it('is done once, however many ask for it at the same time', async () => {
  const place = newPlace();
  const { dataFolder, queue } = place;
  const { id } = await submitTiny(place);
  await Promise.all(TWENTY.map(() => askRun(dataFolder, queue, id, 'paused')));
  const leave = new AbortController();
  const worked = workRuns({ ...place, stages: fakeStages(dataFolder), signal: leave.signal });
  while ((await readRun(dataFolder, id)).state !== 'paused') await sleep(10);
  leave.abort();
  await worked;

  const resumed = await Promise.all(TWENTY.map(() => resumeRun(dataFolder, queue, id)));
  expect(new Set(resumed.map(jobIdOf))).toEqual(new Set([`${id}.2`]));
  expect((await queue.list({ queue: QUEUE, limit: 10 })).map((job) => job.id)).toEqual([`${id}.2`, `${id}.1`]);
  const cancelled = await Promise.all(TWENTY.map(() => askRun(dataFolder, queue, id, 'cancelled')));
  expect(cancelled.map(({ state }) => state)).toEqual(TWENTY.map(() => 'cancelled'));
});
