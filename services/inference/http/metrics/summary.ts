/**
 * The metrics for people: levels, totals and the last minutes' quantiles as JSON, made of what Prometheus reads as well. Counts nothing.
 */
import type { Registry } from 'prom-client';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import { labelsOf } from './labels.ts';
import type { RequestMetrics } from './request-metrics.ts';
import { WINDOW_SECONDS } from './sliding-quantiles.ts';

export async function summarize(registry: Registry, models: readonly LoadedModel[], requests: RequestMetrics) {
  const totals = await readTotals(registry);
  return {
    uptime_seconds: Math.round(process.uptime()),
    ready: totals.sum('slipway_ready') === 1,
    recent_window_seconds: WINDOW_SECONDS,
    models: models.map((model) => describeModel(model, totals, requests)),
    loads: totals.by('slipway_model_loads_total', 'model_name'),
    load_failures: totals.by('slipway_model_load_failures_total', 'model_name'),
    swaps: totals.by('slipway_model_swaps_total', 'model_name'),
    unloads: totals.by('slipway_model_unloads_total', 'model_name'),
    http: {
      requests: totals.by('http_requests_total', 'status'),
      errors: totals.by('slipway_http_errors_total', 'code'),
    },
    process: {
      memory_bytes: totals.sum('process_resident_memory_bytes'),
      cpu_seconds: totals.sum('process_cpu_seconds_total'),
      event_loop_lag_p99_seconds: totals.sum('nodejs_eventloop_lag_p99_seconds'),
    },
  };
}

function describeModel({ name, manifest }: LoadedModel, totals: Totals, requests: RequestMetrics) {
  const own = (metric: string) => totals.sum(metric, labelsOf(name));
  return {
    name,
    version: manifest?.version ?? null,
    running: own('vllm:num_requests_running'),
    waiting: own('vllm:num_requests_waiting'),
    cache_usage: own('vllm:kv_cache_usage_perc'),
    engine_memory_bytes: own('slipway_engine_memory_bytes'),
    engine_restarts: own('slipway_engine_restarts_total'),
    requests: {
      ...totals.by('vllm:request_success_total', 'finished_reason', labelsOf(name)),
      refused: totals.sum('slipway_request_failures_total', { model_name: name, outcome: 'refused' }),
    },
    tokens: {
      prompt: own('vllm:prompt_tokens_total'),
      prompt_cached: own('vllm:prompt_tokens_cached_total'),
      generated: own('vllm:generation_tokens_total'),
      guessed: own('vllm:spec_decode_num_draft_tokens_total'),
      accepted: own('vllm:spec_decode_num_accepted_tokens_total'),
    },
    recent_seconds: requests.recent(name),
  };
}

type Labels = Readonly<Record<string, string | number | undefined>>;
type Values = ReadonlyMap<string, readonly { readonly labels: Labels; readonly value: number }[]>;

async function readTotals(registry: Registry): Promise<Totals> {
  const metrics = await registry.getMetricsAsJSON();
  return new Totals(new Map(metrics.map(({ name, values }) => [name, values])));
}

/** What a registry holds, by name and labels. */
class Totals {
  readonly #values: Values;

  constructor(values: Values) {
    this.#values = values;
  }

  /** Of all series whose labels include these; null when there is none. */
  sum(name: string, labels: Labels = {}): number | null {
    const found = this.#find(name, labels);
    return found.length === 0 ? null : found.reduce((sum, { value }) => sum + value, 0);
  }

  /** The sums by one label's values. */
  by(name: string, label: string, labels: Labels = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const series of this.#find(name, labels)) {
      const key = String(series.labels[label]);
      sums[key] = (sums[key] ?? 0) + series.value;
    }
    return sums;
  }

  #find(name: string, labels: Labels) {
    const wanted = Object.entries(labels);
    const values = this.#values.get(name) ?? [];
    return values.filter((series) => wanted.every(([label, value]) => series.labels[label] === value));
  }
}
