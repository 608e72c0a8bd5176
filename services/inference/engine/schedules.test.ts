/**
 * Thousands of random schedules over the synthetic layout: sequences of mixed lengths, some sharing beginnings, come at any step and
 * are cancelled or late at any step; some repeat themselves, so that guesses are right. Whatever happens, each one's tokens are the
 * closed formula's, or those that were drawn when it ran alone without guesses.
 */
import { expect, it } from 'vitest';
import type { Layout } from '../runtime/layout.ts';
import { openSyntheticLayout, type SyntheticSpec, syntheticContinuation } from '../runtime/synthetic-layout.ts';
import type { EngineEvent, EngineStats, FinishReason, SequenceRequest } from './contract.ts';
import { createEngine } from './loop.ts';
import { createRandom } from './random.ts';
import { collect, GREEDY } from './testing/collect.ts';

const VOCABULARY = 61;
const CONTEXT = 96;
const EOS = 5;

interface Fate {
  readonly request: SequenceRequest;
  readonly arrivesAt: number;
  readonly cancelledAt: number;
  readonly events: EngineEvent[];
  /** Length of the prompt whose answer this one goes on from. */
  readonly earlierPrompt?: number;
}

/** A third are conversations' second turns: the prompt and answer of an earlier one, and a few tokens more. */
function addTurns(fates: readonly Fate[], spec: SyntheticSpec, random: () => number): Fate[] {
  return fates.flatMap((fate) => {
    const { prompt, sampling } = fate.request;
    if (random() < 0.5 || sampling.temperature > 0) return [fate];
    const first = { ...fate, request: { ...fate.request, goesOn: true } };
    const answer = syntheticContinuation(prompt, { ...spec, ...first.request });
    const next = [...prompt, ...answer, ...Array.from({ length: 2 + Math.floor(random() * 6) }, (_, i) => i)];
    if (next.length >= CONTEXT) return [first];
    const request = { ...fate.request, id: `${fate.request.id}b`, prompt: next, deadline: Infinity };
    const arrivesAt = fate.arrivesAt + 10 + Math.floor(random() * 100);
    return [first, { request, arrivesAt, cancelledAt: Infinity, events: [], earlierPrompt: prompt.length }];
  });
}

function makeFates(random: () => number, count: number): Fate[] {
  const below = (end: number) => Math.floor(random() * end);
  const beginnings = Array.from({ length: 3 }, () => Array.from({ length: 20 + below(40) }, () => below(VOCABULARY)));
  return Array.from({ length: count }, (_, i) => {
    const beginning = random() < 0.5 ? (beginnings[below(3)] ?? []).slice(0, 1 + below(60)) : [];
    const own = Array.from({ length: 1 + below(random() < 0.2 ? 30 : 6) }, () => below(VOCABULARY));
    const arrivesAt = 1 + below(60);
    return {
      request: {
        id: `s${i}`,
        prompt: [...beginning, ...own],
        maxNewTokens: 1 + below(random() < 0.1 ? 200 : 20),
        eosTokenIds: random() < 0.5 ? [EOS] : [],
        sampling: random() < 0.25 ? { ...GREEDY, temperature: 0.5, topP: 0.98, seed: below(1000) } : GREEDY,
        deadline: random() < 0.2 ? arrivesAt + below(25) : Infinity,
      },
      arrivesAt,
      cancelledAt: random() < 0.2 ? arrivesAt + below(25) : Infinity,
      events: [],
    };
  });
}

/** Calls `tick` before every run. */
function withClock(layout: Layout, tick: () => void): Layout {
  return {
    ...layout,
    prefill: (...call) => {
      tick();
      return layout.prefill(...call);
    },
    decode: (...call) => {
      tick();
      return layout.decode(...call);
    },
    verify: (...call) => {
      tick();
      if (!layout.verify) throw new Error('the layout cannot verify');
      return layout.verify(...call);
    },
  };
}

/** What the sequence is when it has an engine to itself that never guesses. */
async function runAlone(request: SequenceRequest, spec: SyntheticSpec): Promise<number[]> {
  if (request.sampling.temperature === 0) return syntheticContinuation(request.prompt, { ...spec, ...request });
  const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 1 }), { speculate: false });
  const { tokens } = await collect(engine, { ...request, deadline: Infinity });
  await engine.close();
  return tokens;
}

interface Outcome {
  readonly reasons: Map<FinishReason, number>;
  readonly stats: EngineStats;
  /** Second turns that started from the first one's answer. */
  readonly turnsKept: number;
}

async function runSchedule(seed: number): Promise<Outcome> {
  const random = createRandom(seed);
  const slots = 1 + (seed % 5);
  const sizes = { kind: 'synthetic', vocabularySize: VOCABULARY, contextLength: CONTEXT, slots } as const;
  const spec: SyntheticSpec = seed % 2 === 0 ? sizes : { ...sizes, period: 2 + (seed % 9) };
  const fates = addTurns(makeFates(random, 4 + (seed % 13)), spec, random);
  const inner = await openSyntheticLayout(spec);
  let clock = 0;
  const arrive = () => {
    for (const fate of fates) {
      if (fate.arrivesAt === clock) engine.submit(fate.request, (event) => fate.events.push(event));
      if (fate.cancelledAt === clock) engine.cancel(fate.request.id);
    }
  };
  const layout = withClock(inner, () => {
    clock++;
    arrive();
  });
  const limits = {
    chunkWhileDecoding: 1 + (seed % 7) * 5,
    chunkAlone: 1 + (seed % 11) * 7,
    chunkWithLogits: 64,
    spareSlots: seed % 3,
  };
  const engine = createEngine(layout, { limits, now: () => clock });
  const isOver = () => fates.every((fate) => fate.events.at(-1)?.type === 'finished');
  for (let turns = 0; !isOver(); turns++) {
    if (turns > 20_000) throw new Error(`schedule ${seed} does not end`);
    // An idle engine does not move the clock.
    const { running, waiting } = engine.stats();
    if (running + waiting === 0) {
      clock++;
      arrive();
    }
    await new Promise(setImmediate);
  }

  const reasons = new Map<FinishReason, number>();
  for (const { request, events } of fates) {
    const where = `schedule ${seed}, ${request.id}`;
    const last = events.at(-1);
    if (last?.type !== 'finished') throw new Error(`${where} has no end`);
    expect(events.filter((event) => event.type === 'finished').length, where).toBe(1);
    reasons.set(last.reason, (reasons.get(last.reason) ?? 0) + 1);
    const tokens = events.flatMap((event) => (event.type === 'token' ? [event.token] : []));
    const expected = await runAlone(request, spec);
    expect(last, where).not.toHaveProperty('error');
    if (last.reason === 'eos' || last.reason === 'length') {
      expect(tokens, where).toEqual(expected);
      const isFull = tokens.length === Math.min(request.maxNewTokens, CONTEXT - request.prompt.length);
      expect(last.reason, where).toBe(isFull ? 'length' : 'eos');
    } else {
      expect(tokens, where).toEqual(expected.slice(0, tokens.length));
    }
  }
  const turnsKept = fates.filter(({ events, earlierPrompt = Infinity }) =>
    events.some((event) => event.type === 'started' && event.cachedTokens > earlierPrompt),
  ).length;
  const stats = engine.stats();
  expect(stats).toMatchObject({ running: 0, waiting: 0, cacheUsage: 0 });
  await engine.close();
  return { reasons, stats, turnsKept };
}

it('gives every sequence of 3,000 schedules the tokens it gets alone, and one end', async () => {
  const total = new Map<FinishReason, number>();
  let [guessed, accepted, kept] = [0, 0, 0];
  for (let seed = 0; seed < 3000; seed++) {
    const { reasons, stats, turnsKept } = await runSchedule(seed);
    kept += turnsKept;
    for (const [reason, count] of reasons) total.set(reason, (total.get(reason) ?? 0) + count);
    guessed += stats.guessed;
    accepted += stats.accepted;
  }
  // The schedules are worth something only while all this happens often.
  for (const reason of ['eos', 'length', 'cancelled', 'timeout'] as const)
    expect(total.get(reason)).toBeGreaterThan(1000);
  expect(total.get('failed')).toBeUndefined();
  expect(accepted).toBeGreaterThan(3000);
  expect(guessed - accepted).toBeGreaterThan(3000);
  expect(kept).toBeGreaterThan(500);
});
