import { describe, expect, it } from 'vitest';
import { hasEnded, nextState, type RunEvent, RunState } from './run-state.ts';

const EVENTS: readonly RunEvent[] = [
  'taken',
  'prepared',
  'trained',
  'published',
  'failed',
  'failed_for_now',
  'given_back',
  'pause_asked',
  'resume_asked',
  'cancel_asked',
  'paused',
  'cancelled',
];

/** A column for each event above; - is: cannot happen. */
const TABLE: Readonly<Record<RunState, string>> = {
  queued: 'preparing - - - - - - paused - cancelled - -',
  preparing: 'preparing running - - failed queued queued pausing - preparing paused cancelled',
  running: 'preparing - publishing - failed queued queued pausing - running paused cancelled',
  pausing: 'preparing - publishing - failed queued queued pausing - pausing paused cancelled',
  paused: '- - - - - - - paused queued cancelled - -',
  publishing: 'preparing - - succeeded failed queued queued - - publishing paused cancelled',
  succeeded: '- - - - - - - - - - - -',
  failed: '- - - - - - - - queued - - -',
  cancelled: '- - - - - - - - - cancelled - -',
};

describe('a run', () => {
  it.each(RunState.options)('%s: goes on as the table says', (state) => {
    expect(EVENTS.map((event) => nextState(state, event) ?? '-').join(' ')).toBe(TABLE[state]);
  });

  it('that has ended is not worked on again', () => {
    const ended = RunState.options.filter(hasEnded);
    expect(ended).toEqual(['succeeded', 'failed', 'cancelled']);
    for (const state of ended) expect(nextState(state, 'taken')).toBeUndefined();
  });
});
