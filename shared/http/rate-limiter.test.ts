/** Many callers beside each other, and how little is kept of them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { type Caller, RateLimiter } from './rate-limiter.ts';

function caller(id: string, requests: number | null, tokens: number | null = null): Caller {
  return { id, label: `the key ${id}`, limits: { requests, tokens } };
}

function limiter() {
  const clock = { now: 0 };
  return { clock, limiter: new RateLimiter(() => clock.now) };
}

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function heapUsed(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

describe('a rate limiter', () => {
  it('counts each caller alone, and says when to try again', () => {
    const { clock, limiter: limits } = limiter();
    for (let request = 0; request < 3; request++) limits.countRequest(caller('a', 3));
    expect(() => limits.countRequest(caller('a', 3))).toThrow(
      expect.objectContaining({
        code: 'rate_limited',
        message: 'the key a may use 3 requests per minute; try again in 20 s',
        retryAfter: 20,
      }),
    );
    limits.countRequest(caller('b', 3));
    clock.now = 20_000;
    limits.countRequest(caller('a', 3));
    expect(() => limits.countRequest(caller('a', 3))).toThrow();
  });

  it('keeps tokens for a request and settles by what it used', () => {
    const { limiter: limits } = limiter();
    const one = caller('a', null, 1000);
    const settle = limits.reserveTokens(one, 700);
    expect(() => limits.reserveTokens(one, 400)).toThrow(expect.objectContaining({ retryAfter: 6 }));
    expect(limits.standings(one)).toEqual([
      { kind: 'tokens', limit: 1000, remaining: 300, untilFullMilliseconds: 42_000 },
    ]);
    settle(100);
    expect(limits.standings(one)[0]?.remaining).toBe(900);
    limits.reserveTokens(one, 50)(2000);
    expect(limits.standings(one)).toMatchObject([{ remaining: 0, untilFullMilliseconds: 126_000 }]);
  });

  it('without limits holds nothing', () => {
    const { limiter: limits } = limiter();
    limits.countRequest(caller('a', null));
    limits.reserveTokens(caller('a', null), 1e9)(1e9);
    expect([limits.callers, limits.standings(caller('a', null))]).toEqual([0, []]);
  });

  it('follows limits that change', () => {
    const { limiter: limits } = limiter();
    limits.countRequest(caller('a', 100));
    limits.countRequest(caller('a', 1));
    expect(() => limits.countRequest(caller('a', 1))).toThrow();
  });

  it('stays small over two million addresses, and still refuses who sends too much', () => {
    const { clock, limiter: limits } = limiter();
    const heapBefore = heapUsed();
    for (let address = 0; address < 2_000_000; address++) {
      clock.now += 0.1;
      limits.countRequest(caller(`address ${address}`, 2));
    }
    expect(limits.callers).toBeLessThanOrEqual(65_536);
    expect(heapUsed() - heapBefore).toBeLessThan(25 * 2 ** 20);
    limits.countRequest(caller('address 1999999', 2));
    expect(() => limits.countRequest(caller('address 1999999', 2))).toThrow();
  });

  it('forgets who has been away for a minute, but no debt', () => {
    const { clock, limiter: limits } = limiter();
    limits.reserveTokens(caller('debtor', null, 10), 10)(1000);
    for (let address = 0; address < 100; address++) limits.countRequest(caller(`address ${address}`, 2));
    for (clock.now = 1000; clock.now < 125_000; clock.now += 1000) limits.countRequest(caller('regular', 1000));
    expect(limits.callers).toBe(2);
    expect(() => limits.reserveTokens(caller('debtor', null, 10), 1)).toThrow();
  });
});
