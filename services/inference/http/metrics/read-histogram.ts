/**
 * A Prometheus histogram whose counts are kept by somebody else and read when it is asked for: for what happens too often, or in another
 * process. Knows nothing of what is counted.
 */
import { Histogram, type Registry } from 'prom-client';

/** What one histogram has counted: `counts[i]` values at most `bounds[i]` and above the bound before; the last has the rest. */
export interface Counted {
  readonly counts: ArrayLike<number>;
  readonly sum: number;
}

export interface ReadHistogramOptions {
  readonly name: string;
  readonly help: string;
  readonly bounds: readonly number[];
  readonly registry: Registry;
  readonly read: () => readonly { readonly labels: Readonly<Record<string, string>>; readonly counted: Counted }[];
}

export class ReadHistogram extends Histogram {
  readonly #options: ReadHistogramOptions;

  constructor(options: ReadHistogramOptions) {
    const { name, help, bounds, registry } = options;
    super({ name, help, buckets: [...bounds], registers: [registry] });
    this.#options = options;
  }

  /** What prom-client takes its values from, as text and as JSON. */
  async getForPromString() {
    const { name, help, bounds, read } = this.#options;
    const values = read().flatMap(({ labels, counted: { counts, sum } }) => {
      let total = 0;
      const buckets = [...bounds, '+Inf'].map((le, index) => {
        total += counts[index] ?? 0;
        return { metricName: `${name}_bucket`, labels: { le }, sharedLabels: labels, value: total };
      });
      return [
        ...buckets,
        { metricName: `${name}_sum`, labels: {}, sharedLabels: labels, value: sum },
        { metricName: `${name}_count`, labels: {}, sharedLabels: labels, value: total },
      ];
    });
    return { name, help, type: 'histogram', values, aggregator: 'sum' };
  }
}

/** Counts values where they occur. */
export class BucketCounts implements Counted {
  readonly counts: Float64Array;
  readonly #bounds: readonly number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.#bounds.length && value > (this.#bounds[index] as number)) index++;
    this.counts[index] = (this.counts[index] as number) + 1;
    this.sum += value;
  }
}
