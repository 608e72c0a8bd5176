/**
 * The service's paths and what surrounds them, put together from their parts. No logic of its own.
 */
import { identifyCaller } from '@slipway/shared/http/api-key.ts';
import {
  errorHandler,
  notFoundHandler,
  type RequestEnvironment,
  requestContext,
} from '@slipway/shared/http/request-context.ts';
import { Hono } from 'hono';
import { policyOf } from './path-policy.ts';
import { generateRoute } from './routes/generate.ts';
import { healthRoute, livenessRoute, readinessRoute } from './routes/health.ts';
import { metricsRoute } from './routes/metrics.ts';
import { modelInfoRoute } from './routes/model-info.ts';
import { METHODS, rootRoute } from './routes/root.ts';
import type { ServiceParts } from './service-parts.ts';

export function createApp(parts: ServiceParts): Hono<RequestEnvironment> {
  const app = new Hono<RequestEnvironment>();
  app.onError(errorHandler(parts.log));
  app.notFound(notFoundHandler(METHODS));
  app.use(requestContext(parts.log, (path) => policyOf(path).isProbe));
  app.use(async (context, next) => {
    // A proxy that keeps its connection would send the next request to a process that is leaving.
    if (parts.inFlight.draining) context.header('Connection', 'close');
    await next();
  });
  app.use(identifyCaller(parts.keys, (path) => policyOf(path).isOpen));
  app.get('/', rootRoute(parts));
  app.get('/health', healthRoute(parts));
  app.get('/healthz', livenessRoute());
  app.get('/readyz', readinessRoute(parts));
  app.get('/model-info', modelInfoRoute(parts));
  app.get('/metrics', metricsRoute(parts));
  app.post('/generate', generateRoute(parts));
  return app;
}
