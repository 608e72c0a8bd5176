/**
 * What watching costs: a token that is counted, and the metrics that are read, beside the same without.
 */
import { performance } from 'node:perf_hooks';
import type { GenerationObserver } from '../../services/inference/generation/observer.ts';
import { Metrics } from '../../services/inference/http/metrics/metrics.ts';
import { median, round3 } from '../rounds.ts';

const TOKENS = 1_000_000;
/** As many series as five models have. */
const MODELS = ['one', 'two', 'three', 'four', 'five'];
const SCRAPES = 20;

export interface ObservingCost {
  readonly nanoseconds_per_token: number;
  readonly nanoseconds_per_token_unobserved: number;
  readonly milliseconds_per_scrape: number;
  readonly scrape_bytes: number;
}

export async function measureObserving(rounds: number): Promise<ObservingCost> {
  const metrics = new Metrics({ models: () => [], totals: () => new Map(), isReady: () => true, sockets: () => 0 });
  const observers = MODELS.map((model) => metrics.observerFor(model));
  const nobody = MODELS.map(() => unobserved());
  // What has not run often yet is slow for another reason.
  perToken(observers);
  perToken(nobody);
  const counted: number[] = [];
  const uncounted: number[] = [];
  for (let round = 0; round < rounds; round++) {
    counted.push(perToken(observers));
    uncounted.push(perToken(nobody));
  }
  const scrapes: number[] = [];
  let bytes = 0;
  for (let scrape = 0; scrape < SCRAPES; scrape++) {
    const startedAt = performance.now();
    bytes = (await metrics.text()).length;
    scrapes.push(performance.now() - startedAt);
  }
  return {
    nanoseconds_per_token: round3(median(counted)),
    nanoseconds_per_token_unobserved: round3(median(uncounted)),
    milliseconds_per_scrape: round3(median(scrapes)),
    scrape_bytes: bytes,
  };
}

function perToken(observers: readonly GenerationObserver[]): number {
  const startedAt = performance.now();
  for (let token = 0; token < TOKENS; token++) observers[token % observers.length]?.token((token % 100) / 1000);
  return ((performance.now() - startedAt) * 1e6) / TOKENS;
}

function unobserved(): GenerationObserver {
  return {
    arrived() {},
    leftQueue() {},
    sequenceStarted() {},
    firstToken() {},
    token() {},
    finished() {},
  };
}
