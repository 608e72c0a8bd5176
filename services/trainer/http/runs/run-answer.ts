/**
 * A run as it is told over HTTP: without paths of this machine, and with how far it is. Knows where its log lies.
 */
import { Recipe } from '@slipway/shared/contracts/recipe.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { z } from 'zod';
import { eventIn } from '../../runs/event-log.ts';
import { LoggedEvent } from '../../runs/run-event.ts';
import { runFolder } from '../../runs/run-folder.ts';
import { RunRecord } from '../../runs/run-record.ts';
import { hasEnded } from '../../runs/run-state.ts';
import { jobIdOf } from '../../runs/submit-run.ts';
import { SignOfLife } from '../../runs/work-runs.ts';
import { lastLines } from '../follow-lines.ts';
import { TrainedNumbers } from './trainer-event.ts';
import { TrainingProgress, trainingProgress } from './training-progress.ts';

const { name, owner, state, priority, message, created_at, started_at, ended_at } = RunRecord.shape;
const { attempts, checkpoint_step, failure, hardware, durations, published } = RunRecord.shape;

export const RunAnswer = z.object({
  id: z.string(),
  object: z.literal('run'),
  ...{ name, owner, state, priority, message, created_at, started_at, ended_at },
  ...{ attempts, checkpoint_step, failure, hardware, durations, published },
  progress: TrainingProgress.nullable(),
  /** When whoever works on it last said so. Null: nobody does. */
  heartbeat_at: z.iso.datetime().nullable(),
  trained: TrainedNumbers.nullable(),
  /** With every default filled in. Null: it was not submitted as one. */
  recipe: Recipe.nullable(),
});
export type RunAnswer = z.infer<typeof RunAnswer>;

/** Enough for the last steps, whatever stands between them. */
const TAIL_BYTES = 1 << 17;
const TAIL_LINES = 200;

export async function runAnswer(run: RunRecord, dataFolder: string, queue: JobQueue): Promise<RunAnswer> {
  const { name, owner, state, priority, message, created_at, started_at, ended_at } = run;
  const { attempts, checkpoint_step, failure, hardware, durations, published } = run;
  const { trained, request } = run;
  return {
    id: run.id,
    object: 'run',
    ...{ name, owner, state, priority, message, created_at, started_at, ended_at },
    ...{ attempts, checkpoint_step, failure, hardware, durations, published },
    progress: await progressOf(run, dataFolder),
    heartbeat_at: await heartbeatOf(run, queue),
    trained: trained === null ? null : TrainedNumbers.parse(trained),
    recipe: recipeOf(run, request),
  };
}

/** As it was sent; of a run that was submitted on the machine itself, as it lies there. */
function recipeOf({ recipe }: RunRecord, request: RunRecord['request']): Recipe | null {
  if (request === null) return recipe;
  return request.kind === 'recipe' ? request.recipe : null;
}

export async function progressOf({ id }: RunRecord, dataFolder: string): Promise<TrainingProgress | null> {
  const lines = await lastLines(runFolder(dataFolder, id).events, TAIL_LINES, TAIL_BYTES);
  return trainingProgress(lines.flatMap((line) => LoggedEvent.safeParse(eventIn(line)).data ?? []));
}

async function heartbeatOf(run: RunRecord, queue: JobQueue): Promise<string | null> {
  if (hasEnded(run.state) || run.state === 'queued' || run.state === 'paused') return null;
  const job = await queue.find(jobIdOf(run));
  return SignOfLife.safeParse(job?.progress).data?.at ?? null;
}
