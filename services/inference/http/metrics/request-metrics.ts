/**
 * What requests were like, by model, under the names that vLLM's dashboards read. What happens per token is counted in plain numbers,
 * which are read when somebody asks. Knows nothing of engines or HTTP.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { FinishedGeneration, GenerationObserver } from '../../generation/observer.ts';
import { AnswerHistograms, secondsPerToken } from './answer-histograms.ts';
import { FIRST_TOKEN_BOUNDS, LABELS, labelsOf, PER_TOKEN_BOUNDS, REQUEST_BOUNDS } from './labels.ts';
import { BucketCounts, ReadHistogram } from './read-histogram.ts';
import { type Quantiles, SlidingQuantiles } from './sliding-quantiles.ts';

type Outcome = FinishedGeneration['outcome'];

/** vLLM's words for how a request ended. A deadline that passed is an error there: the client got a 504. Null: it never began. */
const FINISHED_REASON = {
  eos: 'stop',
  stop: 'stop',
  length: 'length',
  cancelled: 'abort',
  timeout: 'error',
  failed: 'error',
  refused: null,
} as const satisfies Record<Outcome, string | null>;
const FINISHED_REASONS = ['stop', 'length', 'abort', 'error'];
const FAILURES = ['failed', 'timeout', 'refused', 'cancelled'] satisfies Outcome[];

/** Of the last minutes, in seconds. */
interface Recent<T> {
  readonly time_to_first_token: T;
  readonly inter_token_latency: T;
  readonly time_per_output_token: T;
  readonly queue_time: T;
  readonly e2e_latency: T;
}

/** One model's numbers. */
class ModelCounts {
  waiting = 0;
  running = 0;
  generatedTokens = 0;
  readonly interToken = new BucketCounts(PER_TOKEN_BOUNDS);
  readonly recent: Recent<SlidingQuantiles> = {
    time_to_first_token: new SlidingQuantiles(),
    inter_token_latency: new SlidingQuantiles(),
    time_per_output_token: new SlidingQuantiles(),
    queue_time: new SlidingQuantiles(),
    e2e_latency: new SlidingQuantiles(),
  };
}

export class RequestMetrics {
  readonly #models = new Map<string, ModelCounts>();
  #shown: ReadonlySet<string> = new Set();
  readonly #answers: AnswerHistograms;
  readonly #timeToFirstToken: Histogram;
  readonly #queueTime: Histogram;
  readonly #latency: Histogram;
  readonly #promptTokens: Counter;
  readonly #cachedPromptTokens: Counter;
  readonly #promptTokensBySource: Counter;
  readonly #prefixQueries: Counter;
  readonly #prefixHits: Counter;
  readonly #finished: Counter;
  readonly #failures: Counter;

  constructor(registry: Registry) {
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name, help, buckets, labelNames: LABELS, registers: [registry] });
    const counter = (name: string, help: string, ...labels: string[]) =>
      new Counter({ name, help, labelNames: [...LABELS, ...labels], registers: [registry] });
    this.#answers = new AnswerHistograms(registry);
    this.#timeToFirstToken = histogram(
      'vllm:time_to_first_token_seconds',
      'Arrival to the first token.',
      FIRST_TOKEN_BOUNDS,
    );
    this.#queueTime = histogram('vllm:request_queue_time_seconds', 'Arrival to a slot in the engine.', REQUEST_BOUNDS);
    this.#latency = histogram(
      'vllm:e2e_request_latency_seconds',
      'Arrival to the end of the answer, or to the deadline.',
      REQUEST_BOUNDS,
    );
    this.#promptTokens = counter('vllm:prompt_tokens_total', 'Prompt tokens read, those from the cache included.');
    this.#cachedPromptTokens = counter('vllm:prompt_tokens_cached_total', 'Prompt tokens taken from the cache.');
    this.#promptTokensBySource = counter('vllm:prompt_tokens_by_source_total', 'Computed or from the cache.', 'source');
    this.#prefixQueries = counter('vllm:prefix_cache_queries_total', 'Prompt tokens looked up, by sequence.');
    this.#prefixHits = counter('vllm:prefix_cache_hits_total', 'Prompt tokens found, by sequence.');
    this.#finished = counter('vllm:request_success_total', 'Requests that ended, however.', 'finished_reason');
    this.#failures = new Counter({
      name: 'slipway_request_failures_total',
      help: 'Requests without an answer: failed, timeout, refused (no room in the queue), cancelled (by the client).',
      labelNames: ['model_name', 'outcome'],
      registers: [registry],
    });
    this.#registerRead(registry);
  }

  /** The models that are loaded now. Their series begin at 0: a rate does not see a first value that is more. */
  show(models: readonly string[]): void {
    for (const model of models) this.#of(model);
    this.#shown = new Set(models);
  }

  /** For one request. */
  observerFor(model: string): GenerationObserver {
    const labels = labelsOf(model);
    const counts = this.#of(model);
    let stage: 'waiting' | 'running' | undefined;
    /** Sequences of one request share it. */
    let prompt: { readonly tokens: number; readonly cached: number } | undefined;
    let isPromptCounted = false;
    const enter = (next: typeof stage) => {
      if (stage !== undefined) counts[stage]--;
      if (next !== undefined) counts[next]++;
      stage = next;
    };
    const countPrompt = () => {
      if (prompt === undefined || isPromptCounted) return;
      isPromptCounted = true;
      this.#countPrompt(labels, prompt.tokens, prompt.cached);
    };
    return {
      arrived: () => enter('waiting'),
      leftQueue: (seconds) => {
        enter('running');
        this.#queueTime.observe(labels, seconds);
        counts.recent.queue_time.observe(seconds);
      },
      sequenceStarted: (tokens, cached) => {
        prompt ??= { tokens, cached };
        this.#prefixQueries.inc(labels, tokens);
        this.#prefixHits.inc(labels, cached);
      },
      firstToken: (seconds) => {
        countPrompt();
        this.#timeToFirstToken.observe(labels, seconds);
        counts.recent.time_to_first_token.observe(seconds);
      },
      token: (secondsSinceLast) => {
        counts.generatedTokens++;
        if (secondsSinceLast === undefined) return;
        counts.interToken.observe(secondsSinceLast);
        counts.recent.inter_token_latency.observe(secondsSinceLast);
      },
      finished: (generation) => {
        enter(undefined);
        // A request for no new tokens has no first one.
        if (isAnswer(generation)) countPrompt();
        this.#finish(model, counts, generation);
      },
    };
  }

  /** Null for a model that has not been seen. */
  recent(model: string): Recent<Quantiles | null> | null {
    const recent = this.#models.get(model)?.recent;
    if (recent === undefined) return null;
    return {
      time_to_first_token: recent.time_to_first_token.read(),
      inter_token_latency: recent.inter_token_latency.read(),
      time_per_output_token: recent.time_per_output_token.read(),
      queue_time: recent.queue_time.read(),
      e2e_latency: recent.e2e_latency.read(),
    };
  }

  #finish(model: string, counts: ModelCounts, generation: FinishedGeneration): void {
    const labels = labelsOf(model);
    const { outcome, totalSeconds } = generation;
    const reason = FINISHED_REASON[outcome];
    if (reason !== null) this.#finished.inc({ ...labels, finished_reason: reason });
    if (!isAnswer(generation)) this.#failures.inc({ model_name: model, outcome });
    // Who ran out of time belongs to the latencies, or an overloaded service would look quick; who left does not.
    if (isAnswer(generation) || outcome === 'timeout') {
      this.#latency.observe(labels, totalSeconds);
      counts.recent.e2e_latency.observe(totalSeconds);
    }
    if (!isAnswer(generation)) return;
    this.#answers.observe(model, generation);
    const perToken = secondsPerToken(generation);
    if (perToken !== undefined) counts.recent.time_per_output_token.observe(perToken);
  }

  #countPrompt(labels: Readonly<Record<string, string>>, tokens: number, cached: number): void {
    this.#promptTokens.inc(labels, tokens);
    this.#cachedPromptTokens.inc(labels, cached);
    this.#promptTokensBySource.inc({ ...labels, source: 'local_compute' }, tokens - cached);
    this.#promptTokensBySource.inc({ ...labels, source: 'local_cache_hit' }, cached);
  }

  #of(model: string): ModelCounts {
    const known = this.#models.get(model);
    if (known !== undefined) return known;
    const counts = new ModelCounts();
    this.#models.set(model, counts);
    const labels = labelsOf(model);
    for (const reason of FINISHED_REASONS) this.#finished.inc({ ...labels, finished_reason: reason }, 0);
    for (const outcome of FAILURES) this.#failures.inc({ model_name: model, outcome }, 0);
    for (const each of [this.#prefixQueries, this.#prefixHits]) each.inc(labels, 0);
    for (const each of [this.#timeToFirstToken, this.#queueTime, this.#latency]) each.zero(labels);
    this.#countPrompt(labels, 0, 0);
    this.#answers.begin(model);
    return counts;
  }

  /** What is read from the models' plain numbers when somebody asks. */
  #registerRead(registry: Registry): void {
    const models = this.#models;
    const present = () =>
      [...models].filter(([model, { running, waiting }]) => this.#shown.has(model) || running + waiting > 0);
    const gauge = (name: string, help: string, fill: (gauge: Gauge, model: string, counts: ModelCounts) => void) =>
      new Gauge({
        name,
        help,
        labelNames: [...LABELS, 'reason'],
        registers: [registry],
        collect() {
          this.reset();
          for (const [model, counts] of present()) fill(this, model, counts);
        },
      });
    gauge('vllm:num_requests_running', 'Requests that run.', (it, model, { running }) =>
      it.set(labelsOf(model), running),
    );
    gauge('vllm:num_requests_waiting', 'Requests that wait for a slot.', (it, model, { waiting }) =>
      it.set(labelsOf(model), waiting),
    );
    gauge('vllm:num_requests_waiting_by_reason', 'The same: all wait for capacity.', (it, model, { waiting }) => {
      it.set({ ...labelsOf(model), reason: 'capacity' }, waiting);
      it.set({ ...labelsOf(model), reason: 'deferred' }, 0);
    });
    new Counter({
      name: 'vllm:generation_tokens_total',
      help: 'Tokens generated.',
      labelNames: LABELS,
      registers: [registry],
      collect() {
        this.reset();
        for (const [model, { generatedTokens }] of models) this.inc(labelsOf(model), generatedTokens);
      },
    });
    const read = () => [...models].map(([model, { interToken }]) => ({ labels: labelsOf(model), counted: interToken }));
    const bounds = PER_TOKEN_BOUNDS;
    const help = 'Between tokens of one sequence.';
    new ReadHistogram({ name: 'vllm:inter_token_latency_seconds', help, bounds, registry, read });
    // Dashboards made before vLLM 0.11 ask for it by this name.
    new ReadHistogram({ name: 'vllm:time_per_output_token_seconds', help, bounds, registry, read });
  }
}

function isAnswer({ outcome }: FinishedGeneration): boolean {
  return outcome === 'eos' || outcome === 'stop' || outcome === 'length';
}
