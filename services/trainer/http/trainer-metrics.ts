/**
 * What the trainer measures of itself, in Prometheus' format: its requests, and the runs of its data folder by state, which holds how many
 * wait, how many are worked on, and how those before them ended.
 */
import { HttpMetrics } from '@slipway/shared/http/http-metrics.ts';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import manifest from '../package.json' with { type: 'json' };
import { listRuns } from '../runs/run-folder.ts';
import { RunState } from '../runs/run-state.ts';

export interface MetricSources {
  readonly dataFolder: string;
  readonly whyNotReady: () => Promise<string | undefined>;
  readonly isWorking: () => boolean;
}

export class TrainerMetrics {
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  readonly http: HttpMetrics;
  readonly #registry = new Registry();

  constructor({ dataFolder, whyNotReady, isWorking }: MetricSources) {
    const registers = [this.#registry];
    this.http = new HttpMetrics(this.#registry);
    new Gauge({
      name: 'slipway_runs',
      help: 'Runs of the data folder by state: queued is the depth of the queue.',
      labelNames: ['state'],
      registers,
      async collect() {
        const runs = await listRuns(dataFolder);
        for (const state of RunState.options) this.set({ state }, runs.filter((run) => run.state === state).length);
      },
    });
    new Gauge({
      name: 'slipway_trainer_working',
      help: '1 while this service works on the queue, 0 while another does or it only takes runs.',
      registers,
      collect() {
        this.set(isWorking() ? 1 : 0);
      },
    });
    new Gauge({
      name: 'slipway_ready',
      help: '1 when requests are taken.',
      registers,
      async collect() {
        this.set((await whyNotReady()) === undefined ? 1 : 0);
      },
    });
    new Gauge({
      name: 'slipway_build_info',
      help: 'Which version of the service runs, on which Node.',
      labelNames: ['version', 'node'],
      registers,
    }).set({ version: manifest.version, node: process.version }, 1);
  }

  /** The process's own numbers; begins to watch its event loop. */
  watchProcess(): void {
    collectDefaultMetrics({ register: this.#registry });
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }
}
