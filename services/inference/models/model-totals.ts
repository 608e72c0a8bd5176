/**
 * How often models were loaded, failed to load, were swapped and ended since the service began, by name. Knows nothing of why.
 */

export interface ModelTotals {
  readonly loads: number;
  readonly failures: number;
  readonly swaps: number;
  readonly unloads: number;
}

const NONE: ModelTotals = { loads: 0, failures: 0, swaps: 0, unloads: 0 };

export class ModelCounter {
  readonly #totals = new Map<string, ModelTotals>();

  get totals(): ReadonlyMap<string, ModelTotals> {
    return this.#totals;
  }

  count(name: string, what: keyof ModelTotals): void {
    const before = this.#totals.get(name) ?? NONE;
    this.#totals.set(name, { ...before, [what]: before[what] + 1 });
  }
}
