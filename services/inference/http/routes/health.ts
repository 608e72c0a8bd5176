/**
 * `GET /healthz`, `/health` and `/readyz`. The first two never depend on loading: a probe that fails restarts the process, which would
 * make a slow load slower.
 */
import { isReady } from '../../models/served-models.ts';
import type { Route, ServiceParts } from '../service-parts.ts';

export function livenessRoute(): Route {
  return (context) => context.json({ status: 'ok' });
}

export function healthRoute(parts: ServiceParts): Route {
  return (context) => {
    const state = parts.models.main.state();
    const status = isReady(parts.models.main) ? 'ok' : state.kind;
    return context.json({
      status: parts.inFlight.draining ? 'draining' : status,
      model: state.kind === 'ready' ? state.model.name : null,
      running: parts.occupancy.running,
      waiting: parts.occupancy.waiting,
      uptime_seconds: Math.round(process.uptime()),
    });
  };
}

export function readinessRoute(parts: ServiceParts): Route {
  return (context) => {
    const { main } = parts.models;
    if (isReady(main) && !parts.inFlight.draining) {
      const state = main.state();
      const detail = parts.models.detail();
      const model = state.kind === 'ready' ? state.model.name : null;
      return context.json({ ready: true, model, ...(detail === null ? {} : { detail }) });
    }
    context.header('Retry-After', '1');
    return context.json({ ready: false, ...reasonOf(parts) }, 503);
  };
}

function reasonOf({ models, inFlight }: ServiceParts): { reason: string; progress?: number } {
  if (inFlight.draining) return { reason: `draining: ${inFlight.count} requests are still being answered` };
  const state = models.main.state();
  if (state.kind === 'loading') return { reason: `loading: ${state.stage}`, progress: state.progress };
  return { reason: state.kind === 'failed' ? `failed: ${state.reason}` : 'ready' };
}
