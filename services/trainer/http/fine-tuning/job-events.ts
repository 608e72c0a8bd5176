/**
 * What happened to a job, and its checkpoints, as OpenAI lists them: out of the run's log, newest first, a page in memory at a time.
 */
import type { FineTuningCheckpoint, FineTuningEvent } from '@slipway/shared/contracts/openai/fine-tuning.ts';
import { eventIn } from '../../runs/event-log.ts';
import { LoggedEvent } from '../../runs/run-event.ts';
import { readLines } from '../follow-lines.ts';
import { secondsOf } from './job-object.ts';

export interface PageRequest {
  /** The log of the run. */
  readonly path: string;
  readonly run: string;
  /** The id of the last one of the page before. */
  readonly after: string | undefined;
  readonly limit: number;
}

/** One more than the page has, where there are more. */
export async function jobEvents({ path, run, after, limit }: PageRequest): Promise<FineTuningEvent[]> {
  const before = numberIn(after);
  const kept: FineTuningEvent[] = [];
  for await (const event of loggedEvents(path)) {
    if (event.id >= before) break;
    const told = jobEvent(event, run);
    if (told !== undefined) kept.push(told);
    if (kept.length > limit + 1) kept.shift();
  }
  return kept.reverse();
}

/** The same of checkpoints; one that was written twice is told once. */
export async function jobCheckpoints({ path, run, after, limit }: PageRequest): Promise<FineTuningCheckpoint[]> {
  const before = numberIn(after);
  const bySteps = new Map<number, FineTuningCheckpoint>();
  const losses = { train: new Map<number, number>(), valid: new Map<number, number>() };
  for await (const event of loggedEvents(path)) {
    // What is told of a step comes before its checkpoint.
    if (event.type === 'progress') losses.train = new Map([[event.step, event.loss]]);
    if (event.type === 'evaluation') losses.valid = new Map([[event.step, event.loss]]);
    if (event.type !== 'checkpoint') continue;
    const { step } = event;
    const train_loss = losses.train.get(step);
    const valid_loss = losses.valid.get(step);
    bySteps.set(step, {
      id: `ftckpt-${run}-${step}`,
      object: 'fine_tuning.job.checkpoint',
      created_at: secondsOf(event.at),
      fine_tuning_job_id: run,
      fine_tuned_model_checkpoint: `${run}:step-${step}`,
      step_number: step,
      metrics: {
        step,
        ...(train_loss === undefined ? {} : { train_loss }),
        ...(valid_loss === undefined ? {} : { valid_loss }),
      },
    });
  }
  const older = [...bySteps.values()].filter(({ step_number }) => step_number < before);
  return older.sort((a, b) => b.step_number - a.step_number).slice(0, limit + 1);
}

async function* loggedEvents(path: string): AsyncGenerator<LoggedEvent> {
  for await (const lines of readLines(path)) {
    for (const { text } of lines) {
      const { data } = LoggedEvent.safeParse(eventIn(text));
      if (data !== undefined) yield data;
    }
  }
}

/** Behind the last dash; of what is no such id, and where there is none, above all. */
function numberIn(id: string | undefined): number {
  const digits = /-(\d{1,15})$/.exec(id ?? '')?.[1];
  return digits === undefined ? Number.POSITIVE_INFINITY : Number(digits);
}

function jobEvent(event: LoggedEvent, run: string): FineTuningEvent | undefined {
  const told = wordsFor(event);
  if (told === undefined) return undefined;
  const { level = 'info', message, data = null } = told;
  return {
    id: `ftevent-${run}-${event.id}`,
    object: 'fine_tuning.job.event',
    created_at: secondsOf(event.at),
    level,
    message,
    type: data === null ? 'message' : 'metrics',
    data,
  };
}

interface Words {
  readonly level?: FineTuningEvent['level'];
  readonly message: string;
  readonly data?: Record<string, unknown>;
}

/** Undefined: nothing that OpenAI's clients would read. */
function wordsFor(event: LoggedEvent): Words | undefined {
  switch (event.type) {
    case 'state':
      return { message: event.message };
    case 'progress': {
      const { step, total_steps, loss, learning_rate } = event;
      const data = { step, total_steps, train_loss: loss, learning_rate };
      return { message: `Step ${step}/${total_steps}: training loss=${loss.toFixed(4)}`, data };
    }
    case 'evaluation': {
      const { step, loss } = event;
      return { message: `Step ${step}: validation loss=${loss.toFixed(4)}`, data: { step, valid_loss: loss } };
    }
    case 'checkpoint':
      return { message: `Checkpoint of step ${event.step} written` };
    case 'data':
      return {
        message: `${event.examples} examples, ${event.supervised_tokens} tokens to be trained, ${event.rejected} rejected`,
      };
    case 'failure':
      return { level: 'error', message: event.message };
    case 'published':
      return { message: `Published ${event.version}` };
    case 'log':
      return event.level === 'info'
        ? undefined
        : { level: event.level === 'warning' ? 'warn' : 'error', message: event.message };
    default:
      return undefined;
  }
}
