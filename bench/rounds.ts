/**
 * Runs contestants in interleaved rounds, so that a slow minute of the machine hurts all of them alike, and takes medians.
 */
export interface Entry {
  /** Rows with one name compete as one: the best of them counts (one and two threads, two files). */
  readonly name: string;
  readonly variant: string;
  /** One run, as labelled values. */
  readonly run: () => Promise<Readonly<Record<string, number>>>;
  /** Peers are what ours are compared with. */
  readonly isPeer: boolean;
}

export interface Point {
  readonly name: string;
  readonly variant: string;
  readonly isPeer: boolean;
  readonly point: string;
  readonly median: number;
  readonly samples: readonly number[];
}

/** A contestant that fails leaves its reason in `failures` and does not run again. */
export async function runRounds(
  entries: readonly Entry[],
  rounds: number,
  tell: (line: string) => void,
): Promise<{ results: Point[]; failures: string[] }> {
  const samples = new Map<Entry, Map<string, number[]>>(entries.map((entry) => [entry, new Map()]));
  const failures = new Map<Entry, string>();
  for (let round = 1; round <= rounds; round++) {
    for (const entry of entries) {
      if (failures.has(entry)) continue;
      try {
        const values = await entry.run();
        for (const [point, value] of Object.entries(values)) {
          const ofEntry = samples.get(entry);
          ofEntry?.set(point, [...(ofEntry.get(point) ?? []), value]);
        }
        const shown = Object.entries(values).map(([point, value]) => `${point} ${round3(value)}`);
        tell(`round ${round}/${rounds}  ${entry.name} (${entry.variant}): ${shown.join(', ')}`);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        failures.set(entry, `${entry.name} (${entry.variant}): ${reason}`);
        tell(`round ${round}/${rounds}  ${entry.name} (${entry.variant}) failed: ${reason}`);
      }
    }
  }
  const results = entries.flatMap((entry) =>
    [...(samples.get(entry) ?? [])].map(([point, values]) => ({
      name: entry.name,
      variant: entry.variant,
      isPeer: entry.isPeer,
      point,
      median: round3(median(values)),
      samples: values.map(round3),
    })),
  );
  return { results, failures: [...failures.values()] };
}

export interface Ratio {
  readonly point: string;
  readonly ours: string;
  readonly peer: string;
  readonly ratio: number;
}

/** Each of ours against the best variant of each peer, point by point. Above 1 is better when `higherIsBetter`. */
export function ratios(results: readonly Point[], higherIsBetter: boolean): Ratio[] {
  const best = new Map<string, Point>();
  for (const result of results.filter(({ isPeer }) => isPeer)) {
    const key = `${result.name} ${result.point}`;
    const known = best.get(key);
    if (!known || result.median > known.median === higherIsBetter) best.set(key, result);
  }
  return results
    .filter(({ isPeer }) => !isPeer)
    .flatMap((ours) =>
      [...best.values()]
        .filter((peer) => peer.point === ours.point)
        .map((peer) => ({
          point: ours.point,
          ours: `${ours.name} (${ours.variant})`,
          peer: `${peer.name} (${peer.variant})`,
          ratio: round3(ours.median / peer.median),
        })),
    );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => round3(sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

export function round3(value: number): number {
  return Number(value.toPrecision(value >= 100 ? 4 : 3));
}
