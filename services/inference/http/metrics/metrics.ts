/**
 * What the service measures of itself: one registry, filled by those who know, and what Prometheus reads of it.
 */

import { HttpMetrics } from '@slipway/shared/http/http-metrics.ts';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import type { GenerationObserver } from '../../generation/observer.ts';
import manifest from '../../package.json' with { type: 'json' };
import { type ModelSources, registerModelMetrics } from './model-metrics.ts';
import { RequestMetrics } from './request-metrics.ts';
import { summarize } from './summary.ts';

/** Asked when someone reads the metrics. */
export interface MetricSources extends ModelSources {
  readonly isReady: () => boolean;
  /** WebSockets that are open. */
  readonly sockets: () => number;
}

export class Metrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly http: HttpMetrics;
  readonly #registry = new Registry();
  readonly #requests: RequestMetrics;
  readonly #sources: MetricSources;

  constructor(sources: MetricSources) {
    this.#sources = sources;
    this.#requests = new RequestMetrics(this.#registry);
    this.http = new HttpMetrics(this.#registry);
    registerModelMetrics(this.#registry, sources);
    new Gauge({
      name: 'slipway_ready',
      help: 'What /readyz says: 1 when requests are taken.',
      registers: [this.#registry],
      collect() {
        this.set(sources.isReady() ? 1 : 0);
      },
    });
    new Gauge({
      name: 'slipway_open_sockets',
      help: 'WebSockets that are open.',
      registers: [this.#registry],
      collect() {
        this.set(sources.sockets());
      },
    });
    new Gauge({
      name: 'slipway_build_info',
      help: 'Which version of the service runs, on which Node.',
      labelNames: ['version', 'node'],
      registers: [this.#registry],
    }).set({ version: manifest.version, node: process.version }, 1);
  }

  /** The process's own numbers; begins to watch its event loop. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  /** For one request. */
  observerFor(model: string): GenerationObserver {
    return this.#requests.observerFor(model);
  }

  /** In Prometheus' text format. */
  async text(): Promise<string> {
    this.#showLoaded();
    // Bounds are written as vLLM writes them: older Prometheus compares the label as text, and dashboards ask for `le="1.0"`.
    return (await this.#registry.metrics()).replaceAll(/\ble="(\d+)"/g, 'le="$1.0"');
  }

  /** For people. */
  summary() {
    const models = this.#showLoaded();
    return summarize(this.#registry, models, this.#requests);
  }

  #showLoaded(): readonly LoadedModel[] {
    const models = this.#sources.models();
    this.#requests.show(models.map(({ name }) => name));
    return models;
  }
}
