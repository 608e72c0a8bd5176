/**
 * `GET /`, `/health`, `/healthz`, `/readyz` and `/metrics`.
 */
import type { Route } from '@slipway/shared/http/request-context.ts';
import { ENDPOINTS } from '../endpoints.ts';
import type { ServiceParts } from '../service-parts.ts';

export function rootRoute(): Route {
  return (context) => {
    const { origin } = new URL(context.req.url);
    return context.json({
      name: 'slipway-trainer',
      description: 'Trains language models by recipes, and publishes them as proven versions.',
      endpoints: ENDPOINTS.map(({ method, path, purpose }) => ({ method, url: origin + path, purpose })),
    });
  };
}

export function livenessRoute(): Route {
  return (context) => context.json({ status: 'ok' });
}

export function healthRoute({ inFlight, isWorking }: ServiceParts): Route {
  return (context) =>
    context.json({
      status: inFlight.draining ? 'draining' : 'ok',
      working: isWorking(),
      uptime_seconds: Math.round(process.uptime()),
    });
}

export function readinessRoute({ whyNotReady }: ServiceParts): Route {
  return async (context) => {
    const reason = await whyNotReady();
    if (reason === undefined) return context.json({ ready: true });
    context.header('Retry-After', '1');
    return context.json({ ready: false, reason }, 503);
  };
}

export function metricsRoute({ metrics }: ServiceParts): Route {
  return async (context) => context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
}
