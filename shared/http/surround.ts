/**
 * Everything around the routes of a service, in the one order that is right: request ids and the log, errors, headers, browsers, keys,
 * limits, scopes. Knows no route.
 */
import type { Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import type { Scope } from '../contracts/api-keys.ts';
import { isLoopback } from '../lib/is-loopback.ts';
import type { Logger } from '../lib/log.ts';
import { identifyCaller } from './api-key.ts';
import { refuseForeignNames, refuseForeignPages } from './browser-guard.ts';
import type { ErrorShape } from './error-response.ts';
import type { KeyRing } from './key-ring.ts';
import type { PathPolicy } from './path-policy.ts';
import { limitRate } from './rate-limit.ts';
import { RateLimiter } from './rate-limiter.ts';
import {
  errorHandler,
  type FinishedRequest,
  notFoundHandler,
  type RequestEnvironment,
  requestContext,
} from './request-context.ts';
import { requireScope } from './require-scope.ts';
import { securityHeaders } from './security-headers.ts';

export interface Surroundings {
  readonly config: {
    readonly host: string;
    readonly corsOrigins: readonly string[];
    readonly trustProxy: number;
    readonly rateLimitRpm: number | null;
    readonly rateLimitTpm: number | null;
  };
  readonly log: Logger;
  readonly keys: KeyRing;
  /** What a key must have for every path that needs one. */
  readonly scope: Scope;
  readonly policyOf: (path: string) => PathPolicy;
  readonly errorShapeOf: (path: string) => ErrorShape;
  readonly methodsOf: (path: string) => readonly string[];
  readonly isDraining: () => boolean;
  /** Gives what the request's line in the log says besides. */
  readonly onBegun: (context: Context<RequestEnvironment>) => Record<string, unknown>;
  readonly onFinished: (request: FinishedRequest, context: Context<RequestEnvironment>) => void;
}

/** To be called before any route is added. */
export function surround(app: Hono<RequestEnvironment>, surroundings: Surroundings): void {
  const { log, keys, policyOf, isDraining, onBegun, onFinished } = surroundings;
  app.onError(errorHandler(log, surroundings.errorShapeOf));
  app.notFound(notFoundHandler(surroundings.methodsOf));
  app.use(requestContext({ log, isQuiet: (path) => policyOf(path).isProbe, onBegun, onFinished }));
  app.use(securityHeaders((path) => policyOf(path).answers));
  guardAgainstBrowsers(app, surroundings);
  app.use(async (context, next) => {
    // A proxy that keeps its connection would send the next request to a process that is leaving.
    if (isDraining()) context.header('Connection', 'close');
    await next();
  });
  app.use(identifyCaller(keys, (path) => policyOf(path).isOpen));
  limitCallers(app, surroundings);
  const scoped = requireScope(surroundings.scope);
  app.use((context, next) => (policyOf(context.req.path).isOpen ? next() : scoped(context, next)));
}

/** After they are identified. */
function limitCallers(app: Hono<RequestEnvironment>, { config, policyOf }: Surroundings): void {
  const { rateLimitRpm, rateLimitTpm, trustProxy } = config;
  app.use(
    limitRate({
      limiter: new RateLimiter(() => performance.now()),
      limits: { requests: rateLimitRpm, tokens: rateLimitTpm },
      trustProxy,
      isCounted: (path) => !policyOf(path).isOpen && !policyOf(path).isProbe,
    }),
  );
}

/** What scripts of other origins may read. */
const EXPOSED_HEADERS = [
  'X-Request-ID',
  'Retry-After',
  'retry-after-ms',
  'RateLimit',
  'RateLimit-Policy',
  'x-slipway-cache',
  'warnings',
  ...['limit', 'remaining', 'reset'].flatMap((what) => [`x-ratelimit-${what}-requests`, `x-ratelimit-${what}-tokens`]),
];
const PREFLIGHT_SECONDS = 600;

/** Before keys are asked for: a browser asks first whether it may ask, without one. */
function guardAgainstBrowsers(app: Hono<RequestEnvironment>, { config, keys }: Surroundings): void {
  const { corsOrigins, host, trustProxy } = config;
  const isExposed = () => isLoopback(host) && trustProxy === 0 && !keys.isLocked;
  app.use(refuseForeignNames(isExposed), refuseForeignPages(corsOrigins));
  if (corsOrigins.length === 0) return;
  app.use(
    cors({
      origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
      allowMethods: ['GET', 'POST', 'DELETE'],
      exposeHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_SECONDS,
    }),
  );
}
