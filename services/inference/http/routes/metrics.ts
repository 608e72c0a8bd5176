/**
 * `GET /metrics`, for Prometheus to read.
 */
import type { Route, ServiceParts } from '../service-parts.ts';

export function metricsRoute({ metrics }: ServiceParts): Route {
  return async (context) => context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
}
