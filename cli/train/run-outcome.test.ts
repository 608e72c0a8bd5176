import type { RunRecord } from '@slipway/trainer/runs';
import { describe, expect, it, test } from 'vitest';
import { PLAIN } from './run-lines.ts';
import { describeOutcome, exitCodeOf } from './run-outcome.ts';
import { EMPTY_PICTURE } from './run-picture.ts';

/** What is not looked at here is not in here. */
function run(state: string, others: object = {}): RunRecord {
  return {
    id: 'run-1',
    name: 'plays',
    state,
    message: '',
    failure: null,
    ended_at: null,
    published: [],
    ...others,
  } as unknown as RunRecord;
}

describe('the exit code', () => {
  test.each([
    ['succeeded', {}, false, 0],
    ['failed', { failure: { class: 'user_input' } }, false, 2],
    ['failed', { failure: { class: 'crashed' } }, false, 1],
    ['cancelled', {}, false, 130],
    // By somebody else: nothing was published, and what follows with && must not begin.
    ['paused', {}, false, 130],
    ['running', {}, true, 130],
    ['running', {}, false, 0],
  ])('of %s %j, interrupted: %j: %i', (state, others, isInterrupted, code) => {
    expect(exitCodeOf(run(state, others), isInterrupted)).toBe(code);
  });
});

it('says of a run that is not over how far it is', () => {
  const started = { total_steps: 20, step: 3, parameters: 1e6, device: 'cpu', precision: 'fp32' };
  const picture = { ...EMPTY_PICTURE, started } as typeof EMPTY_PICTURE;
  const lines = describeOutcome(run('running'), picture, 'bucket', 80, PLAIN).split('\n');
  expect(lines[0]).toMatch(/ 15 % {3}step 3 of 20$/);
  expect(lines.at(-1)).toContain('run-1 goes on (running)');
  const ended = run('cancelled', { ended_at: '2026-01-31T15:00:00Z' });
  expect(describeOutcome(ended, picture, 'bucket', 80, PLAIN)).toBe('run-1 was cancelled; nothing was published');
});

test.each([
  ['user_input', 'Train anew with another recipe, or, once files and folders are mended: slipway train --resume run-1'],
  ['disk_full', 'Once that is mended: slipway train --resume run-1'],
  // Its recipe stays what it is.
  ['not_finite', 'Train anew with another recipe; resumed, it would come to the same.'],
])('of a run that failed with %s it says what helps', (kind, advice) => {
  const failed = run('failed', {
    failure: { class: kind, message: '', step: null, example: null },
    checkpoint_step: null,
  });
  expect(describeOutcome(failed, EMPTY_PICTURE, 'bucket', 80, PLAIN)).toContain(advice);
});
