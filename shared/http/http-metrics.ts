/**
 * Requests by route, method and status, under the names that vLLM's dashboards read, and errors by their code. All labels come from
 * short lists: what a client sends can never make a new one.
 */
import { Counter, Histogram, type Registry } from 'prom-client';
import { ERROR_STATUS } from '../contracts/errors.ts';
import type { FinishedRequest } from './request-context.ts';

const METHODS = new Set(['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'HEAD', 'OPTIONS']);
const SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120];

export class HttpMetrics {
  readonly #requests: Counter;
  readonly #durations: Histogram;
  readonly #errors: Counter;

  constructor(registry: Registry) {
    this.#requests = new Counter({
      name: 'http_requests_total',
      help: 'Requests by route, method and class of status (2xx, 4xx ...).',
      labelNames: ['handler', 'method', 'status'],
      registers: [registry],
    });
    this.#durations = new Histogram({
      name: 'http_request_duration_seconds',
      help: 'From the request to the last byte of its answer.',
      buckets: SECONDS,
      labelNames: ['handler', 'method'],
      registers: [registry],
    });
    this.#errors = new Counter({
      name: 'slipway_http_errors_total',
      help: 'Errors that were answered, by their code; in streams too, which have begun with 200.',
      labelNames: ['handler', 'code'],
      registers: [registry],
    });
  }

  record({ route, method, status, seconds, error }: FinishedRequest): void {
    const handler = route ?? 'none';
    const known = METHODS.has(method) ? method : 'other';
    this.#requests.inc({ handler, method: known, status: `${Math.floor(status / 100)}xx` });
    this.#durations.observe({ handler, method: known }, seconds);
    if (error !== undefined) this.#errors.inc({ handler, code: error in ERROR_STATUS ? error : 'other' });
  }
}
