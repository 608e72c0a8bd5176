/**
 * What is to be shown of a run, made of its events one after the other: stage, losses, pace, samples. Pure; draws nothing.
 */
import type { LoggedEvent, RunRecord } from '@slipway/trainer/runs';

export interface Point {
  readonly step: number;
  readonly loss: number;
}

type EventOf<Type extends LoggedEvent['type']> = Extract<LoggedEvent, { type: Type }>;

export interface RunPicture {
  readonly state: RunRecord['state'];
  readonly message: string;
  readonly phase: { readonly name: string; readonly part: number; readonly detail: string } | null;
  readonly data: EventOf<'data'> | null;
  readonly started: EventOf<'started'> | null;
  readonly progress: EventOf<'progress'> | null;
  readonly training: readonly Point[];
  readonly validation: readonly Point[];
  readonly best: Point | null;
  readonly checkpoint: number | null;
  /** The newest of each prompt. */
  readonly samples: readonly EventOf<'sample'>[];
  readonly published: readonly EventOf<'published'>[];
  readonly failure: EventOf<'failure'> | null;
  /** The last warning or error. */
  readonly warning: string | null;
  /** Where pace is measured from: what the kernel said first since it was started, its slow first step behind it. */
  readonly paceFrom: EventOf<'progress'> | null;
  /** Since then, what is looked at and kept in between included. */
  readonly stepsPerSecond: number | null;
}

export const EMPTY_PICTURE: RunPicture = {
  state: 'queued',
  message: 'waits for its turn',
  phase: null,
  data: null,
  started: null,
  progress: null,
  training: [],
  validation: [],
  best: null,
  checkpoint: null,
  samples: [],
  published: [],
  failure: null,
  warning: null,
  paceFrom: null,
  stepsPerSecond: null,
};

export function withEvent(picture: RunPicture, event: LoggedEvent): RunPicture {
  switch (event.type) {
    case 'state':
      return { ...picture, state: event.state, message: event.message, phase: null };
    case 'phase':
      return { ...picture, phase: { name: event.phase, part: event.part, detail: event.detail ?? '' } };
    case 'data':
      return { ...picture, data: event };
    case 'started':
      return {
        ...withoutStepsBehind(picture, event.step),
        started: event,
        phase: null,
        failure: null,
        paceFrom: null,
        stepsPerSecond: null,
      };
    case 'progress':
      return {
        ...picture,
        progress: event,
        training: [...picture.training, { step: event.step, loss: event.loss }],
        paceFrom: picture.paceFrom ?? event,
        stepsPerSecond: paceOf(picture.paceFrom, event),
      };
    case 'evaluation': {
      const point = { step: event.step, loss: event.loss };
      return {
        ...picture,
        validation: [...picture.validation, point],
        best: event.best ? point : picture.best,
      };
    }
    case 'checkpoint':
      return { ...picture, checkpoint: event.step };
    case 'sample':
      return { ...picture, samples: withSample(picture.samples, event) };
    case 'published':
      return {
        ...picture,
        published: [...picture.published.filter(({ version }) => version !== event.version), event],
      };
    case 'failure':
      return { ...picture, failure: event };
    case 'micro_batch':
      return {
        ...picture,
        warning: `memory ran out: ${event.to} sequences at once instead of ${event.from}, the batch stays the same`,
      };
    case 'log':
      return event.level === 'info' ? picture : { ...picture, warning: event.message };
  }
}

/** Seconds. Null while nothing is known of the pace. */
export function secondsLeft({ progress, stepsPerSecond }: RunPicture): number | null {
  return progress === null || stepsPerSecond === null ? null : (progress.total_steps - progress.step) / stepsPerSecond;
}

/** A kernel that was killed had gone further than its checkpoint: what comes again is drawn once. */
function withoutStepsBehind(picture: RunPicture, step: number): RunPicture {
  const isKept = (point: Point) => point.step <= step;
  return { ...picture, training: picture.training.filter(isKept), validation: picture.validation.filter(isKept) };
}

function paceOf(before: EventOf<'progress'> | null, now: EventOf<'progress'>): number | null {
  if (before === null) return null;
  const seconds = (Date.parse(now.at) - Date.parse(before.at)) / 1000;
  return seconds > 0 ? (now.step - before.step) / seconds : null;
}

function withSample(samples: readonly EventOf<'sample'>[], sample: EventOf<'sample'>): EventOf<'sample'>[] {
  const prompt = sample.prompt.join();
  const index = samples.findIndex((one) => one.prompt.join() === prompt);
  return index === -1 ? [...samples, sample] : samples.with(index, sample);
}
