/**
 * `GET /`: what this is, and where to go from here.
 */
import type { Route, ServiceParts } from '../service-parts.ts';

const ENDPOINTS: Readonly<Record<string, { readonly method: string; readonly purpose: string }>> = {
  '/': { method: 'GET', purpose: 'this page' },
  '/ui': { method: 'GET', purpose: 'the playground: talk to the model in a browser, compare versions' },
  '/health': { method: 'GET', purpose: 'status in one look' },
  '/healthz': { method: 'GET', purpose: 'live: the process answers' },
  '/readyz': { method: 'GET', purpose: 'ready: the model is loaded and requests are taken' },
  '/model-info': { method: 'GET', purpose: 'what is served, how it was made and how exact it is' },
  '/metrics': { method: 'GET', purpose: 'Prometheus metrics' },
  '/api/v1/metrics': { method: 'GET', purpose: 'the same for people: levels, totals and the last five minutes' },
  '/generate': {
    method: 'POST',
    purpose: 'continue a prompt: {"prompt": "Once upon a time", "max_new_tokens": 64, "stream": false}',
  },
};

/** Every path with its method. */
export const METHODS = Object.fromEntries(Object.entries(ENDPOINTS).map(([path, { method }]) => [path, method]));

export function rootRoute(parts: ServiceParts): Route {
  return (context) => {
    const state = parts.host.state();
    const { origin } = new URL(context.req.url);
    return context.json({
      name: 'slipway-inference',
      description: 'Serves a language model from an ONNX version in a bucket, without Python.',
      model: state.kind === 'ready' ? state.model.name : null,
      endpoints: Object.entries(ENDPOINTS).map(([path, { method, purpose }]) => ({
        method,
        url: origin + path,
        purpose,
      })),
    });
  };
}
