import { expect, it } from 'vitest';
import { chooseFreed, type RunSpace } from './choose-freed.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-02-01T00:00:00Z');

function space(id: string, endedDaysAgo: number | null, more: Partial<RunSpace['run']> = {}): RunSpace {
  const ended_at = endedDaysAgo === null ? null : new Date(NOW - endedDaysAgo * DAY).toISOString();
  return { run: { id, name: id, state: 'succeeded', ended_at, freed_at: null, base: null, ...more }, bytes: 10 };
}

function verdicts(spaces: readonly RunSpace[], bytes = Number.POSITIVE_INFINITY): Record<string, string | null> {
  const chosen = chooseFreed(spaces, { now: NOW, graceMs: 7 * DAY, bytes });
  return Object.fromEntries(chosen.map(({ run, kept }) => [run.id, kept]));
}

it('frees what ended long enough ago, and says why the rest stays', () => {
  expect(
    verdicts([
      space('done', 8),
      space('failed', 8, { state: 'failed' }),
      space('cancelled', 8, { state: 'cancelled' }),
      space('fresh', 6.5),
      space('paused', null, { state: 'paused' }),
      space('publishing', null, { state: 'publishing' }),
      { ...space('before', 9, { freed_at: '2026-01-30T00:00:00Z' }), bytes: 0 },
      space('half', 9, { freed_at: '2026-01-30T00:00:00Z' }),
    ]),
  ).toEqual({
    done: null,
    failed: null,
    cancelled: null,
    fresh: 'is kept for 1 more day',
    paused: 'is paused and can be resumed',
    publishing: 'is publishing',
    before: 'was freed before',
    half: null,
  });
});

it('frees the oldest first, and no more than is wanted', () => {
  const spaces = [space('new', 8), space('old', 30), space('middle', 20)];
  expect(verdicts(spaces, 15)).toEqual({ old: null, middle: null, new: 'there is room enough' });
  expect(verdicts(spaces, 0)).toEqual({
    old: 'there is room enough',
    middle: 'there is room enough',
    new: 'there is room enough',
  });
});

it('keeps the model that a run goes on from, as long as that has not ended', () => {
  const waiting = space('waiting', null, { state: 'queued', base: 'old@v001' });
  expect(verdicts([space('old', 30), waiting]).old).toBe('waiting may go on from its model');
  expect(verdicts([space('old', 30), space('waiting', 1, { base: 'old@v001' })]).old).toBeNull();
});
