/** The arithmetic of a token bucket, by a clock that the test moves. */
import { describe, expect, it } from 'vitest';
import { type Bucket, filled, fullBucket, settle, take, untilFull } from './token-bucket.ts';

function taken(bucket: Bucket, amount: number, perMinute: number, now: number): Bucket {
  const outcome = take(bucket, amount, perMinute, now);
  if ('waitMilliseconds' in outcome) throw new Error(`refused for ${outcome.waitMilliseconds} ms`);
  return outcome.bucket;
}

describe('a token bucket', () => {
  it("gives a minute's worth at once, then as fast as it fills", () => {
    let bucket = fullBucket(60, 0);
    for (let request = 0; request < 60; request++) bucket = taken(bucket, 1, 60, 0);
    expect(take(bucket, 1, 60, 0)).toEqual({ waitMilliseconds: 1000 });
    expect(take(bucket, 1, 60, 400)).toEqual({ waitMilliseconds: 600 });
    bucket = taken(bucket, 1, 60, 1000);
    expect(take(bucket, 1, 60, 1999)).toEqual({ waitMilliseconds: expect.closeTo(1) });
    expect(untilFull(bucket, 60, 1000)).toBe(60_000);
    expect(untilFull(bucket, 60, 31_000)).toBe(30_000);
  });

  it('after the wait it told gives what it refused, whatever the numbers', () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    for (let round = 0; round < 1000; round++) {
      const perMinute = Math.ceil(random() * 100_000);
      let now = random() * 1e9;
      let bucket = fullBucket(perMinute, now);
      for (let step = 0; step < 20; step++) {
        const amount = Math.ceil(random() * perMinute * 1.2);
        const outcome = take(bucket, amount, perMinute, now);
        if ('waitMilliseconds' in outcome) {
          expect(outcome.waitMilliseconds).toBeGreaterThan(0);
          expect(outcome.waitMilliseconds).toBeLessThan(60_000.001);
          now += outcome.waitMilliseconds;
        }
        bucket = taken(bucket, amount, perMinute, now);
        expect(bucket.level).toBeGreaterThan(-0.001);
      }
    }
  });

  it("never holds more than a minute's worth", () => {
    expect(filled(fullBucket(10, 0), 10, 1e12).level).toBe(10);
    expect(settle(fullBucket(10, 0), 5, 0, 10, 0).level).toBe(10);
  });

  it('gives back what was reserved and not used, and remembers what was used beyond it', () => {
    const reserved = taken(fullBucket(100, 0), 80, 100, 0);
    expect(settle(reserved, 80, 30, 100, 0).level).toBe(70);
    const indebted = settle(reserved, 80, 300, 100, 0);
    expect(indebted.level).toBe(-200);
    expect(take(indebted, 1, 100, 0)).toEqual({ waitMilliseconds: 120_600 });
    expect(take(indebted, 1, 100, 120_600)).toMatchObject({ taken: 1 });
  });

  it('gives a full bucket for what wants more than one', () => {
    expect(take(fullBucket(100, 0), 5000, 100, 0)).toEqual({ bucket: { level: 0, at: 0 }, taken: 100 });
    expect(take(taken(fullBucket(100, 0), 1, 100, 0), 5000, 100, 0)).toEqual({ waitMilliseconds: 600 });
  });

  it('follows a limit that is changed', () => {
    const bucket = fullBucket(1000, 0);
    expect(filled(bucket, 10, 0).level).toBe(10);
    expect(filled({ level: 10, at: 0 }, 1000, 30_000).level).toBe(510);
  });

  it('takes a clock that goes back for one that stands', () => {
    expect(filled({ level: 3, at: 5000 }, 60, 1000).level).toBe(3);
  });
});
