import { describe, expect, it } from 'vitest';
import { AT_ONCE, cancelled, claimed, type Standing, settled } from './transitions.ts';

const WAITING: Standing = {
  state: 'waiting',
  availableAt: AT_ONCE,
  attempts: 0,
  maxAttempts: null,
  isCancelling: false,
};
const failed = { kind: 'failed', error: 'x', retry: true } as const;

describe('transitions of a job', () => {
  it('pause twice as long after each attempt, but never longer than five minutes', () => {
    const pauses = [1, 2, 3, 9, 10, 40].map((attempts) => {
      const { availableAt } = settled({ ...WAITING, state: 'running', attempts }, failed, 1_000_000);
      return (availableAt ?? 0) - 1_000_000;
    });
    expect(pauses).toEqual([1000, 2000, 4000, 256_000, 300_000, 300_000]);
  });

  it('pause by the tries that came to nothing, where these are told', () => {
    const often: Standing = { ...WAITING, state: 'running', attempts: 40 };
    expect(settled(often, { ...failed, tries: 2 }, 1_000_000)).toMatchObject({ availableAt: 1_002_000 });
  });

  it('end what may not be begun again', () => {
    const last = { ...WAITING, attempts: 3, maxAttempts: 3 };
    expect(claimed(last, 0, 10)).toMatchObject({ state: 'failed', availableAt: null });
    expect(claimed({ ...last, isCancelling: true }, 0, 10)).toMatchObject({ state: 'cancelled', availableAt: null });
    expect(settled({ ...last, state: 'running' }, failed, 0)).toMatchObject({ state: 'failed', availableAt: null });
  });

  it('leave alone what has ended', () => {
    const ended = settled({ ...WAITING, state: 'running', attempts: 1 }, { kind: 'completed', result: 1 }, 5);
    expect(cancelled(ended)).toBe(ended);
  });
});
