/** What of a run lies in its bucket, with a kernel that trains nothing: kept, thinned out, and enough to go on elsewhere. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askRun } from './ask-run.ts';
import { fetchRun } from './fetch-run.ts';
import { readRun, runFolder } from './run-folder.ts';
import { outdatedSteps } from './run-in-bucket.ts';
import type { RunRecord } from './run-record.ts';
import { hasEnded } from './run-state.ts';
import { resumeRun } from './submit-run.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { eventsOf, lossCurve, newPlace, type Place, submitTiny } from './testing/tiny-run.ts';
import { workRuns } from './work-runs.ts';

const bucketUrl = (place: Place) => join(place.dataFolder, 'bucket');
const ended = ({ state }: RunRecord) => hasEnded(state);

function work(place: Place, config: Record<string, unknown> = {}): void {
  const leave = new AbortController();
  const worked = workRuns({ ...place, stages: fakeStages(place.dataFolder, config), signal: leave.signal });
  onTestFinished(async () => {
    leave.abort();
    await worked;
  });
}

async function until(place: Place, id: string, condition: (run: RunRecord) => boolean): Promise<RunRecord> {
  for (;;) {
    const run = await readRun(place.dataFolder, id);
    if (condition(run)) return run;
    await sleep(20);
  }
}

async function undisturbedCurve(): Promise<ReadonlyMap<number, number>> {
  const place = newPlace();
  const { id } = await submitTiny(place);
  work(place);
  await until(place, id, ended);
  return lossCurve(eventsOf(place, id));
}

async function pausedRun(): Promise<{ place: Place; id: string; step: number }> {
  const place = newPlace();
  const { id } = await submitTiny(place);
  work(place, { step_milliseconds: 20 });
  await until(place, id, ({ checkpoint_step }) => (checkpoint_step ?? 0) >= 20);
  await askRun(place.dataFolder, place.queue, id, 'paused');
  const { checkpoint_step } = await until(place, id, ({ state }) => state === 'paused');
  return { place, id, step: checkpoint_step ?? 0 };
}

const warnings = (place: Place, id: string) =>
  eventsOf(place, id).flatMap((event) => (event.type === 'log' && event.level === 'warning' ? [event.message] : []));

it.each([
  { steps: [], keep: 2, best: null, gone: [] },
  { steps: [10, 20], keep: 2, best: null, gone: [] },
  { steps: [10, 20, 30, 40], keep: 2, best: null, gone: [10, 20] },
  { steps: [10, 20, 30, 40], keep: 2, best: 10, gone: [20] },
  { steps: [10, 20, 30], keep: 0, best: 30, gone: [10, 20] },
])('of $steps go $gone, with $keep kept and $best the best', ({ steps, keep, best, gone }) => {
  expect(outdatedSteps(steps, keep, best)).toEqual(gone);
});

describe('a run', () => {
  it('that is paused has its newest checkpoint in the bucket, and no more than are kept', async () => {
    const { place, id, step } = await pausedRun();
    const names = await openBucket(bucketUrl(place)).fileSets(`runs/${id}/`);
    expect(names).toContain(`runs/${id}/checkpoints/step-${String(step).padStart(8, '0')}`);
    expect(names).toContain(`runs/${id}/prepared`);
    expect(names.length).toBeLessThanOrEqual(3);
    expect(warnings(place, id)).toEqual([]);
  });

  it('that has succeeded keeps its last checkpoint and its record', async () => {
    const place = newPlace();
    const { id } = await submitTiny(place);
    work(place);
    await until(place, id, ended);
    const bucket = openBucket(bucketUrl(place));
    while (!(await bucket.fileSets(`runs/${id}/`)).includes(`runs/${id}/final`)) await sleep(20);
    expect(await bucket.fileSets(`runs/${id}/checkpoints/`)).toEqual([`runs/${id}/checkpoints/step-00000060`]);
    expect(readdirSync(join(runFolder(place.dataFolder, id).work, 'checkpoints'))).toEqual(['step-00000060']);
    const final = join(place.dataFolder, 'final');
    await bucket.fetchFiles(`runs/${id}/final`, final);
    expect(JSON.parse(readFileSync(join(final, 'run.json'), 'utf8'))).toEqual(await readRun(place.dataFolder, id));
    // What the bucket no longer keeps takes no room.
    expect(await bucket.collect({ graceMs: 0 })).toMatchObject({ blobs: 0 });
  });

  it('goes on elsewhere, from its bucket alone, to the same losses', async () => {
    const curve = await undisturbedCurve();
    const { place, id, step } = await pausedRun();
    const elsewhere = newPlace();
    // Asked for twice at the same time; and once more, which changes nothing.
    await Promise.all([1, 2].map(() => fetchRun(elsewhere.dataFolder, bucketUrl(place), id)));
    await fetchRun(elsewhere.dataFolder, bucketUrl(place), id);
    rmSync(runFolder(place.dataFolder, id).path, { recursive: true });
    expect(await readRun(elsewhere.dataFolder, id)).toMatchObject({ state: 'paused', checkpoint_step: step });
    await resumeRun(elsewhere.dataFolder, elsewhere.queue, id);
    work(elsewhere);
    expect(await until(elsewhere, id, ended)).toMatchObject({ state: 'succeeded', trained: { step: 60 } });
    const events = eventsOf(elsewhere, id);
    expect(lossCurve(events)).toEqual(curve);
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    expect(events.flatMap((event) => (event.type === 'started' ? [event.resumed_from] : []))).toEqual([null, step]);
  });

  it('whose own checkpoints are gone goes on from the bucket', async () => {
    const curve = await undisturbedCurve();
    const { place, id, step } = await pausedRun();
    rmSync(join(runFolder(place.dataFolder, id).work, 'checkpoints'), { recursive: true });
    await resumeRun(place.dataFolder, place.queue, id);
    await until(place, id, ended);
    const events = eventsOf(place, id);
    expect(lossCurve(events)).toEqual(curve);
    expect(events.flatMap((event) => (event.type === 'started' ? [event.resumed_from] : []))).toEqual([null, step]);
  });

  it('that neither a folder nor a bucket has is said to be nowhere', async () => {
    const place = newPlace();
    await expect(fetchRun(place.dataFolder, bucketUrl(place), 'run-20260131-140507-1a2b3c')).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('no checkpoint of it'),
    });
    expect(existsSync(join(place.dataFolder, 'runs'))).toBe(false);
  });
});

describe('a bucket', () => {
  it('that cannot be written is told, and the run succeeds', async () => {
    const place = newPlace();
    writeFileSync(bucketUrl(place), 'no folder');
    const { id } = await submitTiny(place);
    work(place);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(warnings(place, id).join('\n')).toContain('is on this disk only');
  });

  it('whose disk is full is told, and the run succeeds', async (context) => {
    const place = newPlace();
    mkdirSync(bucketUrl(place));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'slipway-test', bucketUrl(place)]).status !== 0) {
      return context.skip('mounting a tmpfs is not permitted here');
    }
    onTestFinished(() => void spawnSync('umount', [bucketUrl(place)]));
    const { id } = await submitTiny(place);
    work(place);
    expect(await until(place, id, ended)).toMatchObject({ state: 'succeeded', attempts: 1 });
    expect(warnings(place, id).join('\n')).toContain('No space is left for the bucket');
  });

  it('whose writers are killed again and again has whole checkpoints only, and a run goes on from each', async () => {
    const curve = await undisturbedCurve();
    const place = newPlace();
    const { id } = await submitTiny(place);
    const program = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
    const bucket = openBucket(bucketUrl(place));
    const copied = async () => (await bucket.fileSets(`runs/${id}/checkpoints/`)).length > 0;
    for (let round = 0; round < 4; round++) {
      const args = [program, place.dataFolder, JSON.stringify({ step_milliseconds: 150 })];
      const worker = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
      const closed = once(worker, 'close');
      const before = (await readRun(place.dataFolder, id)).checkpoint_step ?? 0;
      await until(place, id, (run) => ended(run) || (run.checkpoint_step ?? 0) > before);
      // At any moment of the copy; the last one comes to its end.
      if (round < 3) await sleep(Math.random() * 300);
      else while (!(await copied())) await sleep(20);
      worker.kill('SIGKILL');
      await closed;
      for (const name of await bucket.fileSets('')) {
        const target = join(place.dataFolder, `look-${round}`, name);
        mkdirSync(join(target, '..'), { recursive: true });
        await bucket.fetchFiles(name, target);
      }
      await bucket.collect({ graceMs: 0 });
    }
    const elsewhere = newPlace();
    await fetchRun(elsewhere.dataFolder, bucketUrl(place), id);
    await resumeRun(elsewhere.dataFolder, elsewhere.queue, id);
    work(elsewhere);
    await until(elsewhere, id, ended);
    expect(lossCurve(eventsOf(elsewhere, id))).toEqual(curve);
  }, 600_000);
});
