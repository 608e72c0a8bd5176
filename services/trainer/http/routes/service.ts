/**
 * `GET /`, `/health`, `/healthz`, `/readyz` and `/metrics`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Route } from '@slipway/shared/http/request-context.ts';
import { QUEUE } from '../../runs/submit-run.ts';
import { ENDPOINTS } from '../endpoints.ts';
import type { ServiceParts } from '../service-parts.ts';

const QUEUE_MILLISECONDS = 2000;

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

export function readinessRoute({ inFlight, queue, log }: ServiceParts): Route {
  const queueAnswers = () =>
    queue.list({ queue: QUEUE, limit: 1 }).then(
      () => true,
      (error) => {
        log.warn({ err: error }, 'the queue does not answer');
        return false;
      },
    );
  return async (context) => {
    const isReady =
      !inFlight.draining && (await Promise.race([queueAnswers(), sleep(QUEUE_MILLISECONDS, false, { ref: false })]));
    if (isReady) return context.json({ ready: true });
    context.header('Retry-After', '1');
    return context.json({ ready: false, reason: inFlight.draining ? 'draining' : 'the queue does not answer' }, 503);
  };
}

export function metricsRoute({ metrics }: ServiceParts): Route {
  return async (context) => context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
}
