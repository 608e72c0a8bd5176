/**
 * `GET /`: what this is, and where to go from here.
 */
import { ENDPOINTS } from '../endpoints.ts';
import type { Route, ServiceParts } from '../service-parts.ts';

export function rootRoute(parts: ServiceParts): Route {
  return (context) => {
    const state = parts.models.main.state();
    const { origin } = new URL(context.req.url);
    return context.json({
      name: 'slipway-inference',
      description: 'Serves a language model from an ONNX version in a bucket, without Python.',
      model: state.kind === 'ready' ? state.model.name : null,
      endpoints: ENDPOINTS.map(({ method, path, purpose }) => ({ method, url: origin + path, purpose })),
    });
  };
}
