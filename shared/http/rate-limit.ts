/**
 * Holds callers to their limits and tells them how they stand, as the IETF draft and as OpenAI write it. Knows nothing of what requests
 * are for: routes that use tokens say how many by `allowance`.
 */
import type { Context, MiddlewareHandler } from 'hono';
import { ANONYMOUS_CALLER } from '../contracts/api-keys.ts';
import { clientAddress } from './client-address.ts';
import type { Principal } from './principal.ts';
import type { Allowance, Caller, Limits, RateLimiter, Standing } from './rate-limiter.ts';
import type { RequestEnvironment } from './request-context.ts';

const UNLIMITED: Allowance = { reserveTokens: () => () => {} };

export interface RateLimitOptions {
  readonly limiter: RateLimiter;
  /** Where a key has none of its own. */
  readonly limits: Limits;
  /** Proxies in front, for the address of a caller without a key. */
  readonly trustProxy: number;
  readonly isCounted: (path: string) => boolean;
}

/** Sets `allowance`. After the caller is identified. AppError rate_limited. */
export function limitRate(options: RateLimitOptions): MiddlewareHandler<RequestEnvironment> {
  const { limiter, isCounted } = options;
  return async (context, next) => {
    const caller = isCounted(context.req.path) ? callerOf(context, options) : undefined;
    if (caller === undefined) {
      context.set('allowance', UNLIMITED);
      return next();
    }
    context.set('allowance', { reserveTokens: (tokens) => limiter.reserveTokens(caller, tokens) });
    try {
      limiter.countRequest(caller);
      await next();
    } finally {
      // Of what was sent and what it used, as far as that is known: a stream's tokens are still those that were reserved.
      for (const [name, value] of standingHeaders(limiter.standings(caller))) {
        // After an answer `context.header` would make another one of it.
        if (context.finalized) context.res.headers.set(name, value);
        else context.header(name, value);
      }
    }
  };
}

function callerOf(context: Context<RequestEnvironment>, options: RateLimitOptions): Caller | undefined {
  const principal: Principal = context.get('principal');
  const limits: Limits = {
    requests: principal.requestsPerMinute ?? options.limits.requests,
    tokens: principal.tokensPerMinute ?? options.limits.tokens,
  };
  if (limits.requests === null && limits.tokens === null) return undefined;
  if (principal.name !== ANONYMOUS_CALLER) {
    return { id: `key ${principal.name}`, label: `the key ${principal.name}`, limits };
  }
  const socketAddress = context.env.incoming?.socket.remoteAddress ?? '';
  const address = clientAddress(socketAddress, context.req.header('x-forwarded-for'), options.trustProxy);
  return { id: `address ${address}`, label: `the address ${address}`, limits };
}

export function standingHeaders(standings: readonly Standing[]): [name: string, value: string][] {
  const draft = (write: (standing: Standing) => string) => standings.map(write).join(', ');
  return [
    ['RateLimit-Policy', draft(({ kind, limit }) => `"${kind}";q=${limit};w=60`)],
    [
      'RateLimit',
      draft(
        ({ kind, remaining, untilFullMilliseconds }) =>
          `"${kind}";r=${remaining};t=${Math.ceil(untilFullMilliseconds / 1000)}`,
      ),
    ],
    ...standings.flatMap(({ kind, limit, remaining, untilFullMilliseconds }): [string, string][] => [
      [`x-ratelimit-limit-${kind}`, String(limit)],
      [`x-ratelimit-remaining-${kind}`, String(remaining)],
      [`x-ratelimit-reset-${kind}`, goDuration(untilFullMilliseconds)],
    ]),
  ];
}

/** As OpenAI writes it: `17ms`, `1.5s`, `6m0s`. */
function goDuration(milliseconds: number): string {
  const whole = Math.ceil(milliseconds);
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = (whole - minutes * 60_000) / 1000;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}
