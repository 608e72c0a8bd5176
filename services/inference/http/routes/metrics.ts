/**
 * `GET /metrics`, for Prometheus to read, and `GET /api/v1/metrics`, for people.
 */
import type { Route, ServiceParts } from '../service-parts.ts';

export function metricsRoute({ metrics }: ServiceParts): Route {
  return async (context) => context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType });
}

export function metricsSummaryRoute({ metrics }: ServiceParts): Route {
  return async (context) => context.json(await metrics.summary());
}
