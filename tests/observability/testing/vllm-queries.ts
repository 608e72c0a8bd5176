/**
 * What vLLM's own dashboards ask of Prometheus, by the file in https://github.com/vllm-project/vllm/tree/main/examples/observability that
 * holds it (state of November 2026). Panels for what a server may lack are left out, as vLLM's own text allows: KV connectors, multimodal
 * caches, adapters, sleeping levels.
 */

const ONE = '{model_name="$model_name"}';
const ANY = 'job=~"$job", model_name=~"$model_name", instance=~"$instance"';
const ENGINE = `${ANY}, engine=~"$engine"`;
const HTTP = 'job=~"$job", instance=~"$instance"';
const RATE = '[$__rate_interval]';

const quantile = (share: number, metric: string, labels: string, by = 'le', range = RATE) =>
  `histogram_quantile(${share}, sum by (${by}) (rate(vllm:${metric}_bucket{${labels}}${range})))`;
const quantiles = (metric: string, labels: string) => [0.5, 0.95, 0.99].map((share) => quantile(share, metric, labels));
const mean = (metric: string, labels: string, by = '') =>
  `sum${by} (rate(vllm:${metric}_sum{${labels}}${RATE})) / (sum${by} (rate(vllm:${metric}_count{${labels}}${RATE})) > 0)`;
const rate = (metric: string, labels: string, by = '') => `sum${by} (rate(vllm:${metric}{${labels}}${RATE}))`;
const share = (part: string, whole: string, labels: string, by = '') =>
  `${rate(part, labels, by)} / (${rate(whole, labels, by)} > 0)`;

const LATENCIES = ['e2e_request_latency_seconds', 'inter_token_latency_seconds', 'time_to_first_token_seconds'];
const BY_ENGINE = ' by (instance, engine)';
const BY_MODEL = ' by (model_name)';

export const VLLM_QUERIES: Readonly<Record<string, readonly string[]>> = {
  'prometheus_grafana/grafana.json as it was before vLLM 0.11': [
    `histogram_quantile(0.99, sum by(le) (rate(vllm:time_per_output_token_seconds_bucket${ONE}${RATE})))`,
    `rate(vllm:time_per_output_token_seconds_sum${ONE}${RATE})\n/\nrate(vllm:time_per_output_token_seconds_count${ONE}${RATE})`,
    `vllm:gpu_cache_usage_perc${ONE}`,
  ],
  'prometheus_grafana/grafana.json': [
    ...LATENCIES.flatMap((metric) => [
      ...[0.99, 0.95, 0.9, 0.5].map(
        (part) => `histogram_quantile(${part}, sum by(le) (rate(vllm:${metric}_bucket${ONE}${RATE})))`,
      ),
      `rate(vllm:${metric}_sum${ONE}${RATE})\n/\nrate(vllm:${metric}_count${ONE}${RATE})`,
    ]),
    `rate(vllm:prompt_tokens_total${ONE}${RATE})`,
    `rate(vllm:generation_tokens_total${ONE}${RATE})`,
    `vllm:num_requests_running${ONE}`,
    `vllm:num_requests_waiting${ONE}`,
    `vllm:kv_cache_usage_perc${ONE}`,
    `sum by(le) (increase(vllm:request_prompt_tokens_bucket${ONE}${RATE}))`,
    `sum by(le) (increase(vllm:request_generation_tokens_bucket${ONE}${RATE}))`,
    `sum by(finished_reason) (increase(vllm:request_success_total${ONE}${RATE}))`,
    `rate(vllm:request_queue_time_seconds_sum${ONE}${RATE})`,
    `rate(vllm:request_prefill_time_seconds_sum${ONE}${RATE})`,
    `rate(vllm:request_decode_time_seconds_sum${ONE}${RATE})`,
    `rate(vllm:request_max_num_generation_tokens_sum${ONE}${RATE})`,
  ],
  'dashboards/grafana/performance_statistics.json': [
    ...LATENCIES.flatMap((metric) => [
      `rate(vllm:${metric}_sum${RATE}) / rate(vllm:${metric}_count${RATE})`,
      `(sum(increase(vllm:${metric}_sum[$__range])) / sum(increase(vllm:${metric}_count[$__range])))`,
      ...[0.5, 0.9, 0.99].map(
        (part) => `histogram_quantile(${part}, sum by(le) (rate(vllm:${metric}_bucket[$__range])))`,
      ),
    ]),
    `rate(vllm:generation_tokens_total${RATE})`,
    `rate(vllm:prompt_tokens_total${RATE})`,
    `rate(vllm:iteration_tokens_total_count${RATE})`,
  ],
  'dashboards/grafana/query_statistics.json': [
    ...[0.5, 0.9, 0.99].flatMap((part) => [
      quantile(part, 'e2e_request_latency_seconds', 'model_name=~"$model_name"', 'le, model_name'),
      quantile(part, 'request_prompt_tokens', 'model_name=~"$model_name"', 'le, model_name'),
    ]),
    rate('request_success_total', 'model_name=~"$model_name"', BY_MODEL),
    `${rate('prompt_tokens_total', 'model_name=~"$model_name"')}\n/\n${rate('request_success_total', 'model_name=~"$model_name"')}`,
    rate('generation_tokens_total', 'model_name=~"$model_name"', BY_MODEL),
  ],
  'dashboards/grafana/vllm_overview.json': [
    rate('request_success_total', ANY),
    rate('prompt_tokens_total', ANY),
    rate('generation_tokens_total', ANY),
    `(sum(rate(http_requests_total{${HTTP}, status="5xx"}${RATE})) or vector(0)) / (sum(rate(http_requests_total{${HTTP}}${RATE})) > 0)`,
    'count(up{job=~"$job"} == 0) or vector(0)',
    `count(vllm:num_requests_running{${ANY}})`,
    `sum(vllm:num_requests_running{${ANY}})`,
    `sum(vllm:num_requests_waiting{${ANY}})`,
    ...['max', 'avg', 'min'].map((how) => `${how}(vllm:kv_cache_usage_perc{${ANY}})`),
    rate('num_preemptions_total', ANY),
    share('prefix_cache_hits_total', 'prefix_cache_queries_total', ANY),
    `sum(rate(vllm:time_to_first_token_seconds_bucket{${ANY}, le="$ttft_slo"}${RATE})) / (sum(rate(vllm:time_to_first_token_seconds_count{${ANY}}${RATE})) > 0)`,
    `sum(rate(vllm:request_time_per_output_token_seconds_bucket{${ANY}, le="$tpot_slo"}${RATE})) / (sum(rate(vllm:request_time_per_output_token_seconds_count{${ANY}}${RATE})) > 0)`,
    `count by (model_name) (group by (model_name, instance) (last_over_time(vllm:num_requests_running{${ANY}}[$__range])))`,
    ...LATENCIES.map((metric) => quantile(0.95, metric, ANY, 'le, model_name', '[$__range]')),
    `sum by (model_name) (rate(vllm:request_success_total{${ANY}, finished_reason="error"}[$__range])) / (sum by (model_name) (rate(vllm:request_success_total{${ANY}}[$__range])) > 0)`,
    `max by (model_name) (max_over_time(vllm:kv_cache_usage_perc{${ANY}}[$__range]))`,
    `round(sum by (model_name) (increase(vllm:num_preemptions_total{${ANY}}[$__range])))`,
    ...[...LATENCIES, 'request_time_per_output_token_seconds', 'request_queue_time_seconds'].flatMap((metric) => [
      ...quantiles(metric, ANY),
      mean(metric, ANY),
      `sum by (le) (rate(vllm:${metric}_bucket{${ANY}}${RATE}))`,
    ]),
    mean('request_prefill_time_seconds', ANY),
    mean('request_decode_time_seconds', ANY),
    `sum(vllm:num_requests_waiting_by_reason{${ANY}, reason="capacity"})`,
    `sum(vllm:num_requests_waiting_by_reason{${ANY}, reason="deferred"})`,
    ...['iteration_tokens_total', 'request_prompt_tokens', 'request_generation_tokens'].flatMap((metric) => [
      ...quantiles(metric, ANY),
      mean(metric, ANY),
    ]),
    ...['local_compute', 'local_cache_hit'].map((source) =>
      rate('prompt_tokens_by_source_total', `${ANY}, source="${source}"`),
    ),
    `sum by (finished_reason) (rate(vllm:request_success_total{${ANY}}${RATE})) / ignoring (finished_reason) group_left () (sum(rate(vllm:request_success_total{${ANY}}${RATE})) > 0)`,
    ...['request_prompt_tokens', 'request_generation_tokens'].map(
      (metric) =>
        `sum by (le) (increase(vllm:${metric}_bucket{${ANY}}[$__range])) / on () group_left () (sum(increase(vllm:${metric}_count{${ANY}}[$__range])) > 0)`,
    ),
    `sum by (status) (rate(http_requests_total{${HTTP}}${RATE}))`,
    `sum by (handler) (rate(http_requests_total{${HTTP}}${RATE}))`,
    `sum by (handler) (rate(http_request_duration_seconds_sum{${HTTP}}${RATE})) / (sum by (handler) (rate(http_request_duration_seconds_count{${HTTP}}${RATE})) > 0)`,
  ],
  'dashboards/grafana/vllm_instances.json': [
    `count by (model_name, instance) (vllm:num_requests_running{${ENGINE}})`,
    `max by (model_name, instance) ((time() - process_start_time_seconds{${HTTP}}) * on (job, instance) group_left (model_name) group by (job, instance, model_name) (vllm:num_requests_running{${ENGINE}}))`,
    `sum by (instance, engine) (vllm:num_requests_running{${ENGINE}})`,
    `max by (instance, engine) (vllm:kv_cache_usage_perc{${ENGINE}})`,
    rate('request_success_total', ENGINE, ' by (instance)'),
    rate('prompt_tokens_total', ENGINE, BY_ENGINE),
    ...LATENCIES.map((metric) => quantile(0.95, metric, ENGINE, 'le, instance')),
    mean('request_queue_time_seconds', ENGINE, ' by (instance)'),
    rate('iteration_tokens_total_count', ENGINE, BY_ENGINE),
    mean('iteration_tokens_total', ENGINE, BY_ENGINE),
    rate('num_preemptions_total', ENGINE, BY_ENGINE),
    `sum by (instance, engine, reason) (vllm:num_requests_waiting_by_reason{${ENGINE}})`,
    share('prefix_cache_hits_total', 'prefix_cache_queries_total', ENGINE, BY_ENGINE),
    `sum by (instance) (rate(process_cpu_seconds_total{${HTTP}}${RATE}))`,
    `sum by (instance) (process_resident_memory_bytes{${HTTP}})`,
    `sum by (instance) (process_open_fds{${HTTP}}) / sum by (instance) (process_max_fds{${HTTP}})`,
    `vllm:cache_config_info{${HTTP}, engine=~"$engine"}`,
  ],
  'dashboards/grafana/vllm_kv_cache.json': [
    `max(vllm:kv_cache_usage_perc{${ENGINE}})`,
    share('prefix_cache_hits_total', 'prefix_cache_queries_total', ENGINE),
    share('prompt_tokens_cached_total', 'prompt_tokens_total', ENGINE),
  ],
  'dashboards/grafana/vllm_speculative_decoding.json': [
    share('spec_decode_num_accepted_tokens_total', 'spec_decode_num_draft_tokens_total', ENGINE),
    `1 + ${share('spec_decode_num_accepted_tokens_total', 'spec_decode_num_drafts_total', ENGINE)}`,
    rate('spec_decode_num_drafts_total', ENGINE),
    share('spec_decode_num_accepted_tokens_total', 'generation_tokens_total', ENGINE),
    share('spec_decode_num_accepted_tokens_total', 'spec_decode_num_draft_tokens_total', ENGINE, BY_MODEL),
    `sum by (position) (rate(vllm:spec_decode_num_accepted_tokens_per_pos_total{${ENGINE}}${RATE})) / on () group_left () (sum(rate(vllm:spec_decode_num_drafts_total{${ENGINE}}${RATE})) > 0)`,
    share('spec_decode_num_accepted_tokens_total', 'spec_decode_num_draft_tokens_total', ENGINE, BY_ENGINE),
    `${rate('spec_decode_num_draft_tokens_total', ENGINE)} - ${rate('spec_decode_num_accepted_tokens_total', ENGINE)}`,
  ],
  'dashboards/grafana/vllm_service_status.json': [
    `(2 - (max(vllm:engine_sleep_state{${ANY}, sleep_state="awake"}) == bool 0)) or vector(0)`,
    `(${quantile(0.5, 'time_to_first_token_seconds', ANY, 'le', '[5m]')}) and on () count(vllm:num_requests_running{${ANY}})`,
    `(sum(rate(vllm:generation_tokens_total{${ANY}}[5m])) / (sum(avg_over_time(vllm:num_requests_running{${ANY}}[5m])) > 0)) and on () count(vllm:num_requests_running{${ANY}})`,
    `(1 - (sum(rate(vllm:request_success_total{${ANY}, finished_reason="error"}[5m])) / (sum(rate(vllm:request_success_total{${ANY}}[5m])) > 0))) and on () count(vllm:num_requests_running{${ANY}})`,
    `(60 * sum(rate(vllm:request_success_total{${ANY}}[5m]))) and on () count(vllm:num_requests_running{${ANY}})`,
  ],
};
