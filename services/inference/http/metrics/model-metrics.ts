/**
 * What loaded models say of themselves when metrics are asked for: cache, guesses, memory, versions, and how often any was loaded, ended
 * or started again. Keeps no numbers of its own.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import { STEP_TOKEN_BOUNDS } from '../../engine/index.ts';
import type { LoadedModel } from '../../generation/loaded-model.ts';
import type { ModelTotals } from '../../models/model-totals.ts';
import { LABELS, labelsOf } from './labels.ts';
import { ReadHistogram } from './read-histogram.ts';

export interface ModelSources {
  /** Those that answer. */
  readonly models: () => readonly LoadedModel[];
  /** By the model's name. */
  readonly totals: () => ReadonlyMap<string, ModelTotals>;
}

type Labels = Readonly<Record<string, string>>;
type Fill = (set: (labels: Labels, value: number) => void) => void;

export function registerModelMetrics(registry: Registry, { models, totals }: ModelSources): void {
  const gauge = (name: string, help: string, labelNames: readonly string[], fill: Fill) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        fill((labels, value) => this.set(labels, value));
      },
    });
  const counter = (name: string, help: string, labelNames: readonly string[], fill: Fill) =>
    new Counter({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        fill((labels, value) => this.inc(labels, value));
      },
    });
  const perModel =
    (value: (model: LoadedModel) => number | null): Fill =>
    (set) => {
      for (const model of models()) {
        const read = value(model);
        if (read !== null) set(labelsOf(model.name), read);
      }
    };
  const perName =
    (value: (totals: ModelTotals) => number): Fill =>
    (set) => {
      for (const [name, counts] of totals()) set({ model_name: name }, value(counts));
    };

  const cacheUsage = perModel(({ engine }) => engine.stats().cacheUsage);
  gauge('vllm:kv_cache_usage_perc', 'Cache positions in use, 0 to 1.', LABELS, cacheUsage);
  gauge('vllm:gpu_cache_usage_perc', 'The same under its older name.', LABELS, cacheUsage);
  gauge('vllm:cache_config_info', 'A block is a slot for one sequence.', [...LABELS, ...CACHE_LABELS], (set) => {
    for (const model of models()) set({ ...labelsOf(model.name), ...cacheLabels(model) }, 1);
  });
  gauge('vllm:engine_sleep_state', 'A loaded model is awake.', [...LABELS, 'sleep_state'], (set) => {
    for (const { name } of models()) {
      set({ ...labelsOf(name), sleep_state: 'awake' }, 1);
      set({ ...labelsOf(name), sleep_state: 'weights_offloaded' }, 0);
      set({ ...labelsOf(name), sleep_state: 'discard_all' }, 0);
    }
  });
  counter(
    'vllm:num_preemptions_total',
    'None ever: a request that has begun keeps its slot.',
    LABELS,
    perModel(() => 0),
  );
  new ReadHistogram({
    name: 'vllm:iteration_tokens_total',
    help: 'Tokens computed in one step of the engine, of prompts and answers.',
    bounds: STEP_TOKEN_BOUNDS,
    registry,
    read: () => models().map(({ name, engine }) => ({ labels: labelsOf(name), counted: engine.stats().stepTokens })),
  });
  counter(
    'vllm:spec_decode_num_drafts_total',
    'Steps in which guessed tokens were checked.',
    LABELS,
    perModel(({ engine }) => engine.stats().drafts),
  );
  counter(
    'vllm:spec_decode_num_accepted_tokens_per_pos_total',
    'Drafts whose guess at this position was right.',
    [...LABELS, 'position'],
    (set) => {
      for (const { name, engine } of models()) {
        for (const [position, count] of engine.stats().acceptedAt.entries()) {
          set({ ...labelsOf(name), position: String(position) }, count);
        }
      }
    },
  );
  counter(
    'vllm:spec_decode_num_draft_tokens_total',
    'Tokens that were guessed and computed ahead.',
    LABELS,
    perModel(({ engine }) => engine.stats().guessed),
  );
  counter(
    'vllm:spec_decode_num_accepted_tokens_total',
    'Guessed tokens that were right.',
    LABELS,
    perModel(({ engine }) => engine.stats().accepted),
  );
  gauge(
    'slipway_model_info',
    'The versions that answer.',
    ['model_name', 'version', 'precision', 'layout', 'fingerprint'],
    (set) => {
      for (const { name, manifest, engine, fingerprint } of models()) {
        const { version = 'none', precision = 'none' } = manifest ?? {};
        set({ model_name: name, version, precision, layout: engine.info.layout, fingerprint }, 1);
      }
    },
  );
  gauge(
    'slipway_engine_memory_bytes',
    "Resident memory of the engine's process.",
    LABELS,
    perModel((model) => model.engineProcess().memoryBytes),
  );
  counter(
    'slipway_engine_restarts_total',
    'Engines that died and were started again.',
    LABELS,
    perModel((model) => model.engineProcess().restarts),
  );
  counter(
    'slipway_model_loads_total',
    'Versions that were loaded.',
    ['model_name'],
    perName(({ loads }) => loads),
  );
  counter(
    'slipway_model_load_failures_total',
    'Versions that could not be loaded.',
    ['model_name'],
    perName(({ failures }) => failures),
  );
  counter(
    'slipway_model_swaps_total',
    'Versions that took the place of another.',
    ['model_name'],
    perName(({ swaps }) => swaps),
  );
  counter(
    'slipway_model_unloads_total',
    'Versions that were ended.',
    ['model_name'],
    perName(({ unloads }) => unloads),
  );
}

/** Tools take the product of the first two for the positions there are. */
const CACHE_LABELS = ['num_gpu_blocks', 'block_size', 'cache_dtype', 'enable_prefix_caching'];

function cacheLabels({ engine: { info }, manifest }: LoadedModel): Labels {
  return {
    num_gpu_blocks: String(info.slots),
    block_size: String(info.contextLength),
    cache_dtype: manifest?.graphs.serving.cache_scales == null ? 'float32' : 'int8',
    enable_prefix_caching: info.layout === 'recurrent' ? 'False' : 'True',
  };
}
