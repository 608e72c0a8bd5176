/** What many ask of a run at once, from one process and from several: who clicks twice asks for one thing, and who cancels has cancelled. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { askRun } from './ask-run.ts';
import { lockFile } from './file-lock.ts';
import { OpenRun } from './open-run.ts';
import { readRun, runFolder, writeWish } from './run-folder.ts';
import { jobIdOf, QUEUE, resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, newPlace, type Place, submitTiny } from './testing/tiny-run.ts';
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

/** Runs that nobody works on. */
async function pausedRuns(place: Place, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const submitted = await submitTiny(place);
    const run = await OpenRun.open(place.dataFolder, submitted.id);
    await run.apply('pause_asked', 'is paused');
    run.close();
    await place.queue.cancel(jobIdOf(submitted));
    ids.push(submitted.id);
  }
  return ids;
}

async function startAsking({ dataFolder }: Place, what: string, ids: readonly string[]) {
  const program = fileURLToPath(new URL('./testing/ask.ts', import.meta.url));
  const child = spawn(process.execPath, [program, dataFolder, what, ...ids], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const gone = once(child, 'close');
  await once(child.stdout, 'data');
  return {
    begin: () => child.stdin.write('now'),
    code: gone.then(([code]) => code),
  };
}

it('is decided by one process after the other', { timeout: 120_000 }, async () => {
  const place = newPlace();
  const ids = await pausedRuns(place, 40);
  const asking = await Promise.all(['resumed', 'cancelled', 'resumed'].map((what) => startAsking(place, what, ids)));
  for (const { begin } of asking) begin();
  expect(await Promise.all(asking.map(({ code }) => code))).toEqual([0, 0, 0]);
  for (const id of ids) {
    expect(await readRun(place.dataFolder, id)).toMatchObject({ id, state: 'cancelled' });
    const numbers = eventsOf(place, id).map((event) => event.id);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  }
  const jobs = await place.queue.list({ queue: QUEUE, limit: 1000 });
  expect(new Set(jobs.map(({ state }) => state))).toEqual(new Set(['cancelled']));
});

it('is cancelled when that is asked for before a pause has come true', async () => {
  const place = newPlace();
  const { dataFolder, queue } = place;
  const { id } = await submitTiny(place, ['training.max_steps=100000']);
  const leave = new AbortController();
  const worked = workRuns({ ...place, stages: fakeStages(dataFolder), signal: leave.signal });
  const until = async (state: string) => {
    while ((await readRun(dataFolder, id)).state !== state) await sleep(10);
  };
  await until('running');
  await askRun(dataFolder, queue, id, 'paused');
  // As one that asks holds it; the kernel ends meanwhile.
  const unlock = lockFile(runFolder(dataFolder, id).lock);
  await until('pausing');
  await sleep(500);
  expect((await readRun(dataFolder, id)).state).toBe('pausing');
  await writeWish(runFolder(dataFolder, id), 'cancelled');
  unlock?.();
  await until('cancelled');
  await expect(askRun(dataFolder, queue, id, 'paused')).rejects.toMatchObject({ code: 'conflict' });
  leave.abort();
  await worked;
});
