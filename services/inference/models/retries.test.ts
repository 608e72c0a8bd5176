import { describe, expect, it } from 'vitest';
import { Retries } from './retries.ts';

describe('Retries', () => {
  it('lets what failed wait longer every time, up to ten minutes, until it is forgotten', () => {
    let now = 0;
    const retries = new Retries(() => now);
    expect(retries.mustWait('one')).toBe(false);
    expect(retries.failed('one', false)).toBe(2000);
    expect(retries.mustWait('one')).toBe(true);
    expect(retries.mustWait('other')).toBe(false);
    now = 2000;
    expect(retries.mustWait('one')).toBe(false);
    expect(retries.failed('one', false)).toBe(4000);
    for (let times = 0; times < 20; times++) retries.failed('one', false);
    expect(retries.pauseOf('one')).toBe(600_000);
    retries.forget('one');
    expect([retries.mustWait('one'), retries.pauseOf('one')]).toEqual([false, undefined]);
  });

  it('does not let it wait longer for what may change at any moment', () => {
    const retries = new Retries(() => 0);
    for (let times = 0; times < 5; times++) expect(retries.failed('one', true)).toBe(2000);
  });
});
