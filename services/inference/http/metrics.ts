/**
 * What the service measures of itself, under the names that vLLM's dashboards read. Knows nothing of how it came about.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { FinishedGeneration, GenerationObserver } from '../generation/observer.ts';

/** Read when someone asks for the metrics. */
export interface Levels {
  readonly running: number;
  readonly waiting: number;
  readonly cacheUsage: number;
}

const SHORT = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2.5, 5];
const LONG = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120];

export class Metrics {
  readonly registry = new Registry();
  readonly #timeToFirstToken = this.#histogram('vllm:time_to_first_token_seconds', 'Arrival to first token.', LONG);
  readonly #interToken = this.#histogram('vllm:inter_token_latency_seconds', 'Between tokens of one sequence.', SHORT);
  readonly #perOutputToken = this.#histogram(
    'vllm:request_time_per_output_token_seconds',
    'Mean per request, after the first token.',
    SHORT,
  );
  readonly #queueTime = this.#histogram('vllm:request_queue_time_seconds', 'Arrival to a slot in the engine.', LONG);
  readonly #latency = this.#histogram('vllm:e2e_request_latency_seconds', 'Arrival to the end of the answer.', LONG);
  readonly #promptTokens = this.#counter('vllm:prompt_tokens_total', 'Prompt tokens of finished requests.');
  readonly #generatedTokens = this.#counter('vllm:generation_tokens_total', 'Tokens generated.');
  readonly #successes = this.#counter('vllm:request_success_total', 'Requests answered.', 'finished_reason');
  readonly #failures = this.#counter('slipway:request_failure_total', 'Requests not answered.', 'outcome');

  constructor(modelName: () => string, levels: () => Levels) {
    this.#gauge('vllm:num_requests_running', 'Requests that run.', modelName, () => levels().running);
    this.#gauge('vllm:num_requests_waiting', 'Requests that wait.', modelName, () => levels().waiting);
    this.#gauge('vllm:kv_cache_usage_perc', 'Cache positions in use, 0 to 1.', modelName, () => levels().cacheUsage);
  }

  observerFor(modelName: string): GenerationObserver {
    const label = { model_name: modelName };
    const firstToken = this.#timeToFirstToken.labels(label);
    const interToken = this.#interToken.labels(label);
    const queueTime = this.#queueTime.labels(label);
    const generated = this.#generatedTokens.labels(label);
    return {
      leftQueue: (seconds) => queueTime.observe(seconds),
      firstToken: (seconds) => firstToken.observe(seconds),
      token: (secondsSinceLast) => {
        generated.inc();
        if (secondsSinceLast !== undefined) interToken.observe(secondsSinceLast);
      },
      finished: (generation) => this.#finished(modelName, generation),
    };
  }

  #finished(modelName: string, generation: FinishedGeneration): void {
    const label = { model_name: modelName };
    const { outcome, completionTokens } = generation;
    if (outcome !== 'eos' && outcome !== 'stop' && outcome !== 'length') {
      this.#failures.inc({ ...label, outcome });
      return;
    }
    this.#successes.inc({ ...label, finished_reason: outcome });
    this.#promptTokens.inc(label, generation.promptTokens);
    this.#latency.observe(label, generation.totalSeconds);
    if (completionTokens > 1) {
      this.#perOutputToken.observe(label, generation.decodeSeconds / (completionTokens - 1));
    }
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name, help, buckets, labelNames: ['model_name'], registers: [this.registry] });
  }

  #counter(name: string, help: string, ...labels: string[]): Counter {
    return new Counter({ name, help, labelNames: ['model_name', ...labels], registers: [this.registry] });
  }

  #gauge(name: string, help: string, modelName: () => string, level: () => number): void {
    new Gauge({
      name,
      help,
      labelNames: ['model_name'],
      registers: [this.registry],
      collect() {
        this.set({ model_name: modelName() }, level());
      },
    });
  }
}
