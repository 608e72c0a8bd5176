/**
 * `GET /metrics`, for Prometheus to read.
 */
import type { Route, ServiceParts } from '../service-parts.ts';

export function metricsRoute({ metrics }: ServiceParts): Route {
  return async (context) =>
    context.body(await metrics.registry.metrics(), 200, { 'Content-Type': metrics.registry.contentType });
}
