/**
 * How a run's state changes: by what its worker does, what happens to its kernel, and what people ask for. Pure: a state and an event in,
 * the next state out. Undefined: that cannot happen now.
 */
import { z } from 'zod';

export const RunState = z.enum([
  'queued',
  'preparing',
  'running',
  'pausing',
  'paused',
  'publishing',
  'succeeded',
  'failed',
  'cancelled',
]);
export type RunState = z.infer<typeof RunState>;

export type RunEvent =
  /** A worker takes it up, for the first time or after another one has vanished. */
  | 'taken'
  | 'prepared'
  | 'trained'
  | 'published'
  | 'failed'
  /** Another try may help; it waits for its turn. */
  | 'failed_for_now'
  /** The worker leaves, and gives it back. */
  | 'given_back'
  | 'pause_asked'
  | 'resume_asked'
  | 'cancel_asked'
  /** It has done what was asked. */
  | 'paused'
  | 'cancelled';

const WORKED_ON: Readonly<Partial<Record<RunEvent, RunState>>> = {
  failed: 'failed',
  failed_for_now: 'queued',
  given_back: 'queued',
  cancelled: 'cancelled',
};

const TRANSITIONS: Readonly<Record<RunState, Readonly<Partial<Record<RunEvent, RunState>>>>> = {
  queued: { taken: 'preparing', pause_asked: 'paused', cancel_asked: 'cancelled' },
  preparing: {
    ...WORKED_ON,
    taken: 'preparing',
    prepared: 'running',
    pause_asked: 'pausing',
    paused: 'paused',
    cancel_asked: 'preparing',
  },
  running: {
    ...WORKED_ON,
    taken: 'preparing',
    trained: 'publishing',
    pause_asked: 'pausing',
    paused: 'paused',
    cancel_asked: 'running',
  },
  pausing: {
    ...WORKED_ON,
    taken: 'preparing',
    // The last step was done before the wish was heard.
    trained: 'publishing',
    pause_asked: 'pausing',
    paused: 'paused',
    cancel_asked: 'pausing',
  },
  paused: { resume_asked: 'queued', cancel_asked: 'cancelled', pause_asked: 'paused' },
  // What is trained stays trained, and a pause would save nothing: only one that was asked for before is still granted.
  publishing: {
    ...WORKED_ON,
    taken: 'preparing',
    published: 'succeeded',
    paused: 'paused',
    cancel_asked: 'publishing',
  },
  succeeded: {},
  failed: { resume_asked: 'queued' },
  cancelled: { cancel_asked: 'cancelled' },
};

export function nextState(state: RunState, event: RunEvent): RunState | undefined {
  return TRANSITIONS[state][event];
}

/** Nothing more happens to it, unless somebody resumes a failed one. */
export function hasEnded(state: RunState): boolean {
  return state === 'succeeded' || state === 'failed' || state === 'cancelled';
}
