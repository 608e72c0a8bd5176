/**
 * The service's paths and what surrounds them, put together from their parts. No logic of its own.
 */
import { identifyCaller } from '@slipway/shared/http/api-key.ts';
import { refuseForeignNames, refuseForeignPages } from '@slipway/shared/http/browser-guard.ts';
import { limitRate } from '@slipway/shared/http/rate-limit.ts';
import { RateLimiter } from '@slipway/shared/http/rate-limiter.ts';
import {
  errorHandler,
  notFoundHandler,
  type RequestEnvironment,
  requestContext,
} from '@slipway/shared/http/request-context.ts';
import { requireScope } from '@slipway/shared/http/require-scope.ts';
import { securityHeaders } from '@slipway/shared/http/security-headers.ts';
import { Hono } from 'hono';
import { cors } from 'hono/cors';
import { methodsOf } from './endpoints.ts';
import { lazyRoute } from './lazy-route.ts';
import { errorShapeOf } from './openai/error-shape.ts';
import { policyOf } from './path-policy.ts';
import { routeChat } from './routes/chat/index.ts';
import { routeDescription } from './routes/description.ts';
import { generateRoute } from './routes/generate.ts';
import { healthRoute, livenessRoute, readinessRoute } from './routes/health.ts';
import { metricsRoute, metricsSummaryRoute } from './routes/metrics.ts';
import { modelInfoRoute } from './routes/model-info.ts';
import { loadRoute, modelsRoute, unloadRoute } from './routes/models.ts';
import { routeOpenAi } from './routes/openai/index.ts';
import { rootRoute } from './routes/root.ts';
import { PLAYGROUND, uiRoute } from './routes/ui.ts';
import { versionRoute } from './routes/version.ts';
import type { ServiceParts } from './service-parts.ts';

export function createApp(parts: ServiceParts): Hono<RequestEnvironment> {
  const app = new Hono<RequestEnvironment>();
  app.onError(errorHandler(parts.log, errorShapeOf));
  app.notFound(notFoundHandler(methodsOf));
  app.use(
    requestContext({
      log: parts.log,
      isQuiet: (path) => policyOf(path).isProbe,
      onBegun: (context) => (policyOf(context.req.path).isProbe ? {} : (parts.tracing?.begin(context) ?? {})),
      onFinished(request, context) {
        parts.metrics.http.record(request);
        parts.tracing?.end(context, request);
      },
    }),
  );
  app.use(securityHeaders((path) => policyOf(path).answers));
  guardAgainstBrowsers(app, parts);
  app.use(async (context, next) => {
    // A proxy that keeps its connection would send the next request to a process that is leaving.
    if (parts.inFlight.draining) context.header('Connection', 'close');
    await next();
  });
  app.use(identifyCaller(parts.keys, (path) => policyOf(path).isOpen));
  limitCallers(app, parts);
  app.get('/', rootRoute(parts));
  app.on('GET', ['/ui', '/ui/*'], uiRoute(PLAYGROUND));
  app.get('/health', healthRoute(parts));
  app.get('/healthz', livenessRoute());
  app.get('/readyz', readinessRoute(parts));
  app.get('/model-info', modelInfoRoute(parts));
  app.get('/metrics', metricsRoute(parts));
  app.get('/api/v1/metrics', metricsSummaryRoute(parts));
  app.post('/generate', generateRoute(parts));
  app.get('/version', versionRoute());
  routeChat(app, parts);
  routeOpenAi(app, parts);
  routeDescription(app, parts);
  app.get('/api/v1/models', modelsRoute(parts));
  app.on('POST', ['/models/load', '/api/v1/models/load'], requireScope('admin'), loadRoute(parts));
  app.on('POST', ['/models/unload', '/api/v1/models/unload'], requireScope('admin'), unloadRoute(parts));
  app.post(
    '/score',
    lazyRoute(async () => (await import('./routes/score.ts')).scoreRoute(parts)),
  );
  return app;
}

/** After they are identified. */
function limitCallers(app: Hono<RequestEnvironment>, { config }: ServiceParts): void {
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

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);
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
function guardAgainstBrowsers(app: Hono<RequestEnvironment>, { config, keys }: ServiceParts): void {
  const { corsOrigins, host, trustProxy } = config;
  const isExposed = () => LOOPBACK.has(host) && trustProxy === 0 && !keys.isLocked;
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
