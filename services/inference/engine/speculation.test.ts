/** Guessed tokens: the same events with and without them, in fewer steps. */
import { describe, expect, it } from 'vitest';
import { type Layout, TerminatedError } from '../runtime/layout.ts';
import { openSyntheticLayout, type SyntheticSpec, syntheticContinuation } from '../runtime/synthetic-layout.ts';
import type { Engine, EngineEvent, SequenceRequest } from './contract.ts';
import { createEngine, type EngineOptions } from './loop.ts';
import { type Collected, collect, GREEDY, makeRequest } from './testing/collect.ts';

const unrepeated: SyntheticSpec = { kind: 'synthetic', vocabularySize: 211, contextLength: 512, slots: 2 };
const spec: SyntheticSpec = { ...unrepeated, period: 7 };
const PROMPT = [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7];

function expected(maxNewTokens: number, eosTokenIds: readonly number[] = []): number[] {
  return syntheticContinuation(PROMPT, { ...spec, maxNewTokens, eosTokenIds });
}

/** One run of `verify`: its rows, and the positions that were filled before it. */
interface Check {
  readonly rows: number;
  readonly start: number;
}

async function openWatched(of: SyntheticSpec = spec): Promise<{ layout: Layout; checks: Check[] }> {
  const inner = await openSyntheticLayout(of);
  const checks: Check[] = [];
  const verify: Layout['verify'] = async (tokens, start) => {
    checks.push({ rows: tokens.length, start });
    if (!inner.verify) throw new Error('the layout cannot verify');
    return inner.verify(tokens, start);
  };
  return { layout: { ...inner, verify }, checks };
}

async function run(
  request: SequenceRequest,
  options: EngineOptions = {},
  onEvent?: (engine: Engine, event: EngineEvent, soFar: readonly EngineEvent[]) => void,
) {
  const { layout, checks } = await openWatched();
  const engine = createEngine(layout, options);
  const result = await collect(engine, request, (event, soFar) => onEvent?.(engine, event, soFar));
  const stats = engine.stats();
  await engine.close();
  return { result, stats, checks };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const tokenEvents = ({ events }: Collected) => events.filter((event) => event.type === 'token');

describe('guessing', () => {
  it.each([
    ['greedy', GREEDY],
    ['seeded', { ...GREEDY, temperature: 0.4, seed: 11 }],
    ['seeded with a repetition penalty', { ...GREEDY, temperature: 0.4, repetitionPenalty: 1.02, seed: 12 }],
  ])('changes no token and no log probability when %s, and saves steps', async (_, sampling) => {
    const request = makeRequest({ prompt: PROMPT, maxNewTokens: 300, sampling, logprobs: 3 });
    const [on, off] = [await run(request), await run(request, { speculate: false })];
    expect(tokenEvents(on.result)).toEqual(tokenEvents(off.result));
    expect(on.result.tokens).toHaveLength(300);
    expect(off.stats).toMatchObject({ guessed: 0, accepted: 0 });
    expect(off.checks).toEqual([]);
    // Each accepted token is a step that was not made; some guesses are wrong here.
    expect(on.stats.steps).toBe(off.stats.steps - on.stats.accepted);
    expect(on.stats.accepted).toBeGreaterThan(50);
    expect(on.stats.guessed).toBeGreaterThan(on.stats.accepted);
    expect(on.stats.guessed).toBe(on.checks.reduce((sum, { rows }) => sum + rows - 1, 0));
    expect(on.stats.drafts).toBe(on.checks.length);
    // A later guess is only right when those before it are.
    expect(on.stats.acceptedAt).toEqual(on.stats.acceptedAt.toSorted((a, b) => b - a));
    expect(sum(on.stats.acceptedAt)).toBe(on.stats.accepted);
    // Every token but the first is one more row; so is every guess.
    for (const { stats } of [on, off]) {
      expect(sum(stats.stepTokens.counts)).toBe(stats.steps);
      expect(stats.stepTokens.sum).toBe(PROMPT.length + 299 - stats.accepted + stats.guessed);
    }
  });

  it('is not tried where nothing repeats, with a layout that cannot check, and beside another sequence', async () => {
    const { layout, checks } = await openWatched(unrepeated);
    const engine = createEngine(layout);
    await collect(engine, makeRequest({ prompt: PROMPT, maxNewTokens: 100 }));
    await engine.close();
    expect(checks.length).toBeLessThan(3);

    const { verify, ...plain } = await openSyntheticLayout(spec);
    const unable = createEngine(plain);
    expect((await collect(unable, makeRequest({ prompt: PROMPT, maxNewTokens: 100 }))).tokens).toEqual(expected(100));
    expect(unable.stats().guessed).toBe(0);
    await unable.close();

    const watched = await openWatched();
    const pair = createEngine(watched.layout);
    const two = [1, 2].map(() => collect(pair, makeRequest({ prompt: PROMPT, maxNewTokens: 100 })));
    for (const result of await Promise.all(two)) expect(result.tokens).toEqual(expected(100));
    // The second is admitted one step after the first, and outlives it by as much.
    expect(watched.checks.length).toBeLessThan(3);
    await pair.close();
  });
});

describe('a sequence that ends among guessed tokens', () => {
  /** Numbers of generated tokens. */
  async function lengthsInsideRuns(): Promise<number[]> {
    const { checks } = await run(makeRequest({ prompt: PROMPT, maxNewTokens: 300 }));
    // Three tokens into each run that computed many rows.
    return checks.filter(({ rows }) => rows > 5).map(({ start }) => start + 1 - PROMPT.length + 3);
  }

  it('ends with the first end token', async () => {
    const tokens = expected(300);
    let inside = 0;
    for (const eos of new Set(tokens.slice(0, 120))) {
      const request = makeRequest({ prompt: PROMPT, maxNewTokens: 300, eosTokenIds: [eos] });
      const { result, checks, stats } = await run(request);
      expect(result).toMatchObject({ reason: 'eos', tokens: expected(300, [eos]) });
      expect(stats.steps + stats.accepted).toBe(result.tokens.length + 1);
      // The position that the end token would have had, by rows of the last run.
      const { start = 0, rows = 0 } = checks.at(-1) ?? {};
      const row = PROMPT.length + result.tokens.length - 1 - start;
      if (row > 0 && row < rows) inside++;
    }
    expect(inside).toBeGreaterThan(3);
  });

  it('ends with its last token, and checks no guess beyond it', async () => {
    for (let maxNewTokens = 1; maxNewTokens < 60; maxNewTokens++) {
      const { result, checks } = await run(makeRequest({ prompt: PROMPT, maxNewTokens }));
      expect(result).toMatchObject({ reason: 'length', tokens: expected(maxNewTokens) });
      for (const { rows, start } of checks) expect(start + rows).toBeLessThan(PROMPT.length + maxNewTokens);
    }
  });

  it('ends with the context', async () => {
    for (let length = 470; length < 511; length++) {
      const prompt = Array.from({ length }, (_, i) => i % 7);
      const { result } = await run(makeRequest({ prompt, maxNewTokens: 100 }));
      const tokens = syntheticContinuation(prompt, { ...spec, maxNewTokens: 100 });
      expect(result).toMatchObject({ reason: 'length', tokens });
      expect(tokens).toHaveLength(512 - length);
    }
  });

  it.each(['cancel', 'close'] as const)('ends at once when a listener may %s between two of them', async (how) => {
    const places = await lengthsInsideRuns();
    expect(places.length).toBeGreaterThan(3);
    for (const place of places.slice(0, 8)) {
      const request = makeRequest({ prompt: PROMPT, maxNewTokens: 300 });
      const { result, stats } = await run(request, {}, (engine, event, soFar) => {
        if (event.type !== 'token' || soFar.length !== place + 1) return;
        if (how === 'cancel') engine.cancel(request.id);
        else void engine.close();
      });
      expect(result).toMatchObject({
        reason: how === 'cancel' ? 'cancelled' : 'failed',
        tokens: expected(place),
      });
      expect(stats.steps + stats.accepted).toBe(place);
    }
  });
});

it('goes on right when another sequence joins and leaves between checked runs', async () => {
  const engine = createEngine(await openSyntheticLayout(spec));
  const others: Promise<Collected>[] = [];
  const long = collect(engine, makeRequest({ prompt: PROMPT, maxNewTokens: 400 }), (_, soFar) => {
    if (soFar.length % 40 === 0) others.push(collect(engine, makeRequest({ prompt: PROMPT, maxNewTokens: 5 })));
  });
  expect((await long).tokens).toEqual(expected(400));
  for (const other of await Promise.all(others)) expect(other.tokens).toEqual(expected(5));
  expect(others.length).toBeGreaterThan(8);
  expect(engine.stats().accepted).toBeGreaterThan(50);
  await engine.close();
});

it('fails with the run that checks, and repeats one that was stopped for nobody', async () => {
  for (const [failure, reason] of [
    [new Error('no memory for the output'), 'failed'],
    [new TerminatedError('stopped late'), 'length'],
  ] as const) {
    const { layout } = await openWatched();
    let runs = 0;
    const verify: Layout['verify'] = async (tokens, start) => {
      if (++runs === 2) throw failure;
      if (!layout.verify) throw new Error('the layout cannot verify');
      return layout.verify(tokens, start);
    };
    const engine = createEngine({ ...layout, verify });
    const first = await collect(engine, makeRequest({ prompt: PROMPT, maxNewTokens: 60 }));
    expect(first.reason).toBe(reason);
    expect(first.tokens).toEqual(expected(60).slice(0, first.tokens.length));
    const second = await collect(engine, makeRequest({ prompt: PROMPT, maxNewTokens: 60 }));
    expect(second).toMatchObject({ reason: 'length', tokens: expected(60) });
    await engine.close();
  }
});
