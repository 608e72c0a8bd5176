/** A worker in the test's own process, over a kernel that trains nothing, and what becomes of a run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { readRun } from '../run-folder.ts';
import type { RunRecord } from '../run-record.ts';
import { hasEnded } from '../run-state.ts';
import { jobIdOf } from '../submit-run.ts';
import { workRuns } from '../work-runs.ts';
import { fakeStages } from './fake-stages.ts';
import { eventsOf, lossCurve, newPlace, type Place, submitTiny } from './tiny-run.ts';

/** A worker in this process, which leaves when the test ends. */
export function work(place: Place, config: Record<string, unknown> = {}) {
  const leave = new AbortController();
  const stages = fakeStages(place.dataFolder, config);
  const worked = workRuns({ ...place, stages, signal: leave.signal, leaseMilliseconds: 5000 });
  onTestFinished(async () => {
    leave.abort();
    await worked;
  });
  return { leave: () => leave.abort(), worked };
}

export async function until(place: Place, id: string, condition: (run: RunRecord) => boolean): Promise<RunRecord> {
  for (;;) {
    const run = await readRun(place.dataFolder, id);
    if (condition(run)) return run;
    await sleep(20);
  }
}

/** The run's record comes first, its job follows. */
export async function settled({ queue }: Place, run: RunRecord, state: string): Promise<void> {
  while ((await queue.find(jobIdOf(run)))?.state !== state) await sleep(20);
}

export const ended = ({ state }: RunRecord) => hasEnded(state);

export async function undisturbedCurve(): Promise<ReadonlyMap<number, number>> {
  const place = newPlace();
  const { id } = await submitTiny(place);
  work(place);
  await until(place, id, ended);
  return lossCurve(eventsOf(place, id));
}
