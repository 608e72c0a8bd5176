/** How a caller's standing is written for clients. */
import { describe, expect, it } from 'vitest';
import { standingHeaders } from './rate-limit.ts';

describe('the headers of a standing', () => {
  it('are those of the IETF draft and of OpenAI', () => {
    const headers = standingHeaders([
      { kind: 'requests', limit: 60, remaining: 59, untilFullMilliseconds: 1000 },
      { kind: 'tokens', limit: 10_000, remaining: 9_000, untilFullMilliseconds: 6000.2 },
    ]);
    expect(Object.fromEntries(headers)).toEqual({
      'RateLimit-Policy': '"requests";q=60;w=60, "tokens";q=10000;w=60',
      RateLimit: '"requests";r=59;t=1, "tokens";r=9000;t=7',
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '10000',
      'x-ratelimit-remaining-tokens': '9000',
      'x-ratelimit-reset-tokens': '6.001s',
    });
  });

  it.each([
    [0, '0ms'],
    [16.2, '17ms'],
    [999.5, '1s'],
    [1500, '1.5s'],
    [360_000, '6m0s'],
    [7_384_000, '123m4s'],
  ])('write %d ms as %s', (untilFullMilliseconds, written) => {
    const headers = standingHeaders([{ kind: 'tokens', limit: 1, remaining: 0, untilFullMilliseconds }]);
    expect(new Map(headers).get('x-ratelimit-reset-tokens')).toBe(written);
  });
});
