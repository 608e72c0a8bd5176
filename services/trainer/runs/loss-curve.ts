/**
 * The losses of a run as its events have them: for pictures of it after its end.
 */
import { existsSync } from 'node:fs';
import { EventReader } from './event-log.ts';
import { LoggedEvent } from './run-event.ts';
import { runFolder } from './run-folder.ts';
import { RunId } from './run-record.ts';

interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

export interface RunLosses {
  readonly run: string;
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

/** Undefined when the run is not in this data folder, or has no losses. Steps done again after a crash count once, as they were last. */
export function readLossCurve(dataFolder: string, run: string): RunLosses | undefined {
  if (!RunId.safeParse(run).success) return undefined;
  const { events } = runFolder(dataFolder, run);
  if (!existsSync(events)) return undefined;
  const training = new Map<number, number>();
  const validation = new Map<number, number>();
  for (const line of new EventReader(events).read()) {
    const event = LoggedEvent.parse(line);
    if (event.type === 'progress') training.set(event.step, event.loss);
    if (event.type === 'evaluation') validation.set(event.step, event.loss);
  }
  if (training.size + validation.size === 0) return undefined;
  return { run, training: pointsOf(training), validation: pointsOf(validation) };
}

function pointsOf(losses: ReadonlyMap<number, number>): LossPoint[] {
  return [...losses].map(([step, loss]) => ({ step, loss })).sort((one, other) => one.step - other.step);
}
