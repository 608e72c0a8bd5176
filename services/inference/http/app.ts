/**
 * The service's paths and what surrounds them, put together from their parts. No logic of its own.
 */
import { describedRoutes } from '@slipway/shared/http/description/routes.ts';
import { lazyRoute } from '@slipway/shared/http/lazy-route.ts';
import type { RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { requireScope } from '@slipway/shared/http/require-scope.ts';
import { surround } from '@slipway/shared/http/surround.ts';
import { Hono } from 'hono';
import { methodsOf } from './endpoints.ts';
import { errorShapeOf } from './openai/error-shape.ts';
import { policyOf } from './path-policy.ts';
import { routeChat } from './routes/chat/index.ts';
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
  surround(app, {
    config: parts.config,
    log: parts.log,
    keys: parts.keys,
    scope: 'infer',
    policyOf,
    errorShapeOf,
    methodsOf,
    isDraining: () => parts.inFlight.draining,
    onBegun: (context) => (policyOf(context.req.path).isProbe ? {} : (parts.tracing?.begin(context) ?? {})),
    onFinished(request, context) {
      parts.metrics.http.record(request);
      parts.tracing?.end(context, request);
    },
  });
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
  describedRoutes(app, async () => (await import('./description/describe-api.ts')).describeApi(parts.config));
  app.get('/api/v1/models', modelsRoute(parts));
  app.on('POST', ['/models/load', '/api/v1/models/load'], requireScope('admin'), loadRoute(parts));
  app.on('POST', ['/models/unload', '/api/v1/models/unload'], requireScope('admin'), unloadRoute(parts));
  app.post(
    '/score',
    lazyRoute(async () => (await import('./routes/score.ts')).scoreRoute(parts)),
  );
  return app;
}
