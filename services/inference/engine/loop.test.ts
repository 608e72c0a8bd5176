import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { describe, expect, it, vi } from 'vitest';
import { type Layout, TerminatedError } from '../runtime/layout.ts';
import { openSyntheticLayout, type SyntheticSpec, syntheticContinuation } from '../runtime/synthetic-layout.ts';

import { createEngine } from './loop.ts';
import { collect, GREEDY, makeRequest } from './testing/collect.ts';

const spec: SyntheticSpec = { kind: 'synthetic', vocabularySize: 211, contextLength: 512, slots: 4 };

function promptOf(length: number, seed = 1): number[] {
  return Array.from({ length }, (_, i) => (i * 31 + seed * 17) % spec.vocabularySize);
}

async function openWith(change: (layout: Layout) => Partial<Layout>): Promise<Layout> {
  const layout = await openSyntheticLayout(spec);
  return { ...layout, ...change(layout) };
}

function expected(prompt: readonly number[], maxNewTokens: number): number[] {
  return syntheticContinuation(prompt, { ...spec, maxNewTokens });
}

describe('a shared prefix', () => {
  it('is computed once, and changes nothing', async () => {
    let computed = 0;
    const layout = await openWith((inner) => ({
      prefill(slot, tokens, start, logits) {
        computed += tokens.length;
        return inner.prefill(slot, tokens, start, logits);
      },
    }));
    const engine = createEngine(layout);
    const system = promptOf(200);
    const prompts = [1, 2, 3, 4, 5, 6].map((seed) => [...system, ...promptOf(5, seed)]);
    const results = await Promise.all(
      prompts.map((prompt) => collect(engine, makeRequest({ prompt, maxNewTokens: 10 }))),
    );
    for (const [i, result] of results.entries()) expect(result.tokens).toEqual(expected(prompts[i] ?? [], 10));
    expect(results.map((result) => result.cachedTokens)).toEqual([0, 200, 200, 200, 200, 200]);
    expect(computed).toBe(200 + 6 * 5);
    await engine.close();
  });

  it('is found again after its sequence has ended, while another conversation runs in between', async () => {
    const copies: string[] = [];
    const layout = await openWith((inner) => ({
      copySlot(from, to, length) {
        copies.push(`${from}>${to} ${length}`);
        inner.copySlot(from, to, length);
      },
    }));
    const engine = createEngine(layout);
    const chats = [promptOf(60, 1), promptOf(80, 2)];
    for (let turn = 0; turn < 3; turn++) {
      for (const [i, history] of chats.entries()) {
        const result = await collect(engine, makeRequest({ prompt: history, maxNewTokens: 9 }));
        expect(result.tokens).toEqual(expected(history, 9));
        // The answer and the new words were not computed as a prompt before.
        if (turn > 0) expect(result.cachedTokens).toBe(history.length - 9 - 3);
        chats[i] = [...history, ...result.tokens, 1, 2, 3];
      }
    }
    await engine.close();
    expect(copies.length).toBeGreaterThan(0);
    copies.length = 0;

    const alone = createEngine(await openWith((inner) => ({ copySlot: layout.copySlot, close: inner.close })));
    let history = promptOf(60);
    for (let turn = 0; turn < 3; turn++) {
      const result = await collect(alone, makeRequest({ prompt: history, maxNewTokens: 9 }));
      history = [...history, ...result.tokens, 1, 2, 3];
    }
    // One conversation goes on in its place.
    expect(copies).toEqual([]);
    await alone.close();
  });
});

describe('an answer that a next prompt will repeat', () => {
  const settle = () => new Promise((resolve) => setTimeout(resolve, 20));

  it('is computed once more in idle time, so that the next turn computes its own words alone', async () => {
    const runs: string[] = [];
    const layout = await openWith((inner) => ({
      prefill(slot, tokens, start, logits) {
        runs.push(`${tokens.length} from ${start}`);
        return inner.prefill(slot, tokens, start, logits);
      },
    }));
    const engine = createEngine(layout);
    let history = promptOf(60);
    for (let turn = 0; turn < 3; turn++) {
      const result = await collect(engine, makeRequest({ prompt: history, maxNewTokens: 9, goesOn: true }));
      expect(result.tokens).toEqual(expected(history, 9));
      expect(result.cachedTokens).toBe(turn === 0 ? 0 : history.length - 3);
      history = [...history, ...result.tokens, 1, 2, 3];
      await settle();
      expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, cacheUsage: 0 });
    }
    expect(runs).toEqual(['60 from 0', '9 from 60', '3 from 69', '9 from 72', '3 from 81', '9 from 84']);
    await engine.close();
  });

  it('has what ended it at its end', async () => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const prompt = promptOf(40);
    const tokens = expected(prompt, 6);
    const end = tokens.at(-1) ?? 0;
    const first = tokens.indexOf(end);
    await collect(engine, makeRequest({ prompt, maxNewTokens: 30, eosTokenIds: [end], goesOn: true }));
    await settle();
    const next = [...prompt, ...tokens.slice(0, first + 1), 7, 8];
    const { cachedTokens } = await collect(engine, makeRequest({ prompt: next, maxNewTokens: 1 }));
    expect(cachedTokens).toBe(next.length - 2);
    await engine.close();
  });

  it('gives way at once to whoever comes meanwhile', async () => {
    const engine = createEngine(await openSyntheticLayout({ ...spec, prefillDelay: 5 }));
    const prompt = promptOf(3);
    await collect(engine, makeRequest({ prompt, maxNewTokens: 200, goesOn: true }));
    // Computing the answer takes a second now.
    await settle();
    const other = promptOf(3, 9);
    const startedAt = performance.now();
    const result = await collect(engine, makeRequest({ prompt: other, maxNewTokens: 4 }));
    expect(performance.now() - startedAt).toBeLessThan(800);
    expect(result.tokens).toEqual(expected(other, 4));
    await engine.close();
  });

  it('is forgotten when others have taken its place', async () => {
    const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 1 }));
    const prompt = promptOf(30);
    const others = [2, 3].map((seed) => promptOf(40, seed));
    const first = collect(engine, makeRequest({ prompt, maxNewTokens: 5, goesOn: true }));
    await Promise.all([
      first,
      ...others.map((other) => collect(engine, makeRequest({ prompt: other, maxNewTokens: 5 }))),
    ]);
    await settle();
    const next = await collect(
      engine,
      makeRequest({ prompt: [...prompt, ...expected(prompt, 5), 1], maxNewTokens: 1 }),
    );
    expect(next.cachedTokens).toBe(0);
    await engine.close();
  });
});

describe('limits of a sequence', () => {
  it('ends at the context, whose last position is used', async () => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const result = await collect(engine, makeRequest({ prompt: promptOf(500), maxNewTokens: 100 }));
    expect(result).toMatchObject({ reason: 'length', tokens: expected(promptOf(500), 12) });
    const none = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 0 }));
    expect(none).toMatchObject({ reason: 'length', tokens: [] });
    await engine.close();
  });

  it('refuses an id that is pending, and leaves the first alone', async () => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const request = makeRequest({ prompt: [1], maxNewTokens: 5 });
    const [first, second] = await Promise.all([collect(engine, request), collect(engine, request)]);
    expect(first.tokens).toEqual(expected([1], 5));
    expect(second).toMatchObject({ reason: 'failed', error: expect.stringContaining('already pending') });
    await engine.close();
  });

  it('times out inside a long prefill, and when it waits', async () => {
    const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 1, prefillDelay: 20 }));
    const before = performance.now();
    const deadline = steadyNow() + 100;
    const results = await Promise.all([
      collect(engine, makeRequest({ prompt: promptOf(400), maxNewTokens: 5, deadline })),
      collect(engine, makeRequest({ prompt: promptOf(3), maxNewTokens: 5, deadline })),
      collect(engine, makeRequest({ prompt: promptOf(4), maxNewTokens: 1 })),
    ]);
    expect(results.map((result) => result.reason)).toEqual(['timeout', 'timeout', 'length']);
    expect(results[2]?.tokens).toEqual(expected(promptOf(4), 1));
    // The whole prompt would take 8 s.
    expect(performance.now() - before).toBeLessThan(4000);
    await engine.close();
  });
});

it('outlives any number of callers who leave inside their prefill', async () => {
  const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 2, prefillDelay: 5 }));
  const leaving = Array.from({ length: 10 }, (_, index) => {
    const request = makeRequest({ prompt: promptOf(400, index), maxNewTokens: 2 });
    return collect(engine, request, (event) => {
      if (event.type === 'started') setTimeout(() => engine.cancel(request.id), 5);
    });
  });
  for (const result of await Promise.all(leaving)) expect(result.reason).toBe('cancelled');
  expect(await collect(engine, makeRequest({ prompt: promptOf(3, 1), maxNewTokens: 2 }))).toMatchObject({
    reason: 'length',
  });
  await engine.close();
});

it('draws the same tokens in a batch as alone', async () => {
  const sampling = (seed: number) => ({ ...GREEDY, temperature: 3, topP: 0.95, repetitionPenalty: 1.1, seed });
  const requests = () =>
    Array.from({ length: 9 }, (_, i) =>
      makeRequest({ prompt: promptOf(3 + 11 * i), maxNewTokens: 25, sampling: sampling(i % 4), logprobs: 2 }),
    );
  const together = createEngine(await openSyntheticLayout(spec));
  const batch = await Promise.all(requests().map((request) => collect(together, request)));
  await together.close();
  for (const [i, request] of requests().entries()) {
    const alone = createEngine(await openSyntheticLayout({ ...spec, slots: 1 }));
    const result = await collect(alone, request);
    const tokens = (events: typeof result.events) => events.filter((event) => event.type === 'token');
    expect(tokens(batch[i]?.events ?? [])).toEqual(tokens(result.events));
    await alone.close();
  }
  expect(new Set(batch.map((result) => result.tokens.join())).size).toBe(9);
});

describe('a layout that fails', () => {
  it('fails a sequence whose logits are not finite, and no other', async () => {
    const layout = await openWith((inner) => ({
      async decode(tokens, lengths) {
        const rows = await inner.decode(tokens, lengths);
        const row = lengths.indexOf(25);
        if (row >= 0) rows[row * spec.vocabularySize + 100] = Number.NaN;
        return rows;
      },
    }));
    const engine = createEngine(layout);
    const [good, bad] = await Promise.all([
      collect(engine, makeRequest({ prompt: [1, 2], maxNewTokens: 20 })),
      collect(engine, makeRequest({ prompt: promptOf(20), maxNewTokens: 20 })),
    ]);
    expect(bad).toMatchObject({ reason: 'failed', error: expect.stringContaining('not finite') });
    expect(bad.tokens).toEqual(expected(promptOf(20), 6));
    expect(good).toMatchObject({ reason: 'length', tokens: expected([1, 2], 20) });
    await engine.close();
  });

  it('fails those whose prompts have logits that are not finite, however many, and no other', async () => {
    const layout = await openWith((inner) => ({
      async prefill(slot, tokens, start, logits) {
        const rows = await inner.prefill(slot, tokens, start, logits);
        return logits === 'all' ? rows.fill(Number.NaN) : rows;
      },
    }));
    const engine = createEngine(layout);
    const asked = Array.from({ length: 5 }, (_, seed) =>
      collect(engine, makeRequest({ prompt: promptOf(20, seed), maxNewTokens: 3, promptLogprobs: 1 })),
    );
    for (const result of await Promise.all(asked)) {
      expect(result).toMatchObject({ reason: 'failed', error: expect.stringContaining('not finite') });
    }
    const good = await collect(engine, makeRequest({ prompt: promptOf(20), maxNewTokens: 3 }));
    expect(good).toMatchObject({ reason: 'length', tokens: expected(promptOf(20), 3), cachedTokens: 0 });
    await engine.close();
  });

  it('fails the sequences of a failed run, and goes on', async () => {
    let runs = 0;
    const layout = await openWith((inner) => ({
      async decode(tokens, lengths) {
        if (++runs === 3) throw new Error('no memory for the output');
        return inner.decode(tokens, lengths);
      },
    }));
    const engine = createEngine(layout);
    const first = await collect(engine, makeRequest({ prompt: [1, 2], maxNewTokens: 20 }));
    expect(first).toMatchObject({ reason: 'failed', error: expect.stringContaining('no memory for the output') });
    const second = await collect(engine, makeRequest({ prompt: [1, 2], maxNewTokens: 20 }));
    expect(second).toMatchObject({ reason: 'length', tokens: expected([1, 2], 20), cachedTokens: 0 });
    await engine.close();
  });

  it('is broken after three failures in a row: everything pending fails, nothing more is taken', async () => {
    const onBroken = vi.fn();
    const layout = await openWith(() => ({
      prefill: () => Promise.reject(new Error('the library is gone')),
    }));
    const engine = createEngine(layout, { onBroken });
    const results = await Promise.all(
      [1, 2, 3, 4, 5].map((token) => collect(engine, makeRequest({ prompt: [token], maxNewTokens: 2 }))),
    );
    for (const result of results) {
      expect(result).toMatchObject({ reason: 'failed', error: expect.stringContaining('the library is gone') });
    }
    expect(onBroken).toHaveBeenCalledTimes(1);
    const late = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 2 }));
    expect(late).toMatchObject({ reason: 'failed', error: expect.stringContaining('3 times in a row') });
    await engine.close();
  });

  it('repeats a run that was stopped for nobody', async () => {
    let runs = 0;
    const layout = await openWith((inner) => ({
      decode: async (tokens, lengths) => {
        if (++runs % 3 === 0) throw new TerminatedError('stopped late');
        return inner.decode(tokens, lengths);
      },
      prefill: async (slot, tokens, start, logits) => {
        if (++runs === 1) throw new TerminatedError('stopped late');
        return inner.prefill(slot, tokens, start, logits);
      },
    }));
    const engine = createEngine(layout);
    const result = await collect(engine, makeRequest({ prompt: promptOf(9), maxNewTokens: 20 }));
    expect(result).toMatchObject({ reason: 'length', tokens: expected(promptOf(9), 20) });
    await engine.close();
  });
});

describe('listeners', () => {
  it('may submit and cancel from within an event', async () => {
    const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 2 }));
    const others = [1, 2, 3].map((token) => makeRequest({ prompt: [token], maxNewTokens: 50 }));
    const last = makeRequest({ prompt: [9], maxNewTokens: 5 });
    let nested: ReturnType<typeof collect> | undefined;
    const results = await Promise.all(
      others.map((request) =>
        collect(engine, request, (event) => {
          if (event.type !== 'started' || nested) return;
          for (const other of others) engine.cancel(other.id);
          nested = collect(engine, last);
        }),
      ),
    );
    expect(results.map((result) => result.reason)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect((await nested)?.tokens).toEqual(expected([9], 5));
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    await engine.close();
  });

  it('may cancel what the same step is about to admit', async () => {
    let now = 0;
    const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 1 }), { now: () => now });
    const next = makeRequest({ prompt: [2], maxNewTokens: 5 });
    const [first, second] = await Promise.all([
      collect(engine, makeRequest({ prompt: [1], maxNewTokens: 50, deadline: 10 }), (event) => {
        now += 2;
        if (event.type === 'finished') engine.cancel(next.id);
      }),
      collect(engine, next),
    ]);
    expect(first.reason).toBe('timeout');
    expect(second).toMatchObject({ reason: 'cancelled', tokens: [] });
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    await engine.close();
  });

  it('may close while a plan is taken in: whom it was about to admit is told the end alone', async () => {
    let now = 0;
    const engine = createEngine(await openSyntheticLayout({ ...spec, slots: 1 }), { now: () => now });
    let closed: Promise<void> | undefined;
    const [first, second] = await Promise.all([
      collect(engine, makeRequest({ prompt: [1], maxNewTokens: 50, deadline: 10 }), (event) => {
        now += 2;
        if (event.type === 'finished') closed = engine.close();
      }),
      collect(engine, makeRequest({ prompt: [2], maxNewTokens: 5 })),
    ]);
    expect(first.reason).toBe('timeout');
    expect(second.events).toEqual([{ type: 'finished', reason: 'failed', error: 'the engine was closed' }]);
    expect(engine.stats()).toMatchObject({ running: 0, waiting: 0 });
    await closed;
  });

  it.each(['cancel', 'close'] as const)('may %s in the middle of a step: no token follows', async (how) => {
    const engine = createEngine(await openSyntheticLayout(spec));
    const requests = [1, 2, 3].map((token) => makeRequest({ prompt: [token], maxNewTokens: 50 }));
    let closed: Promise<void> | undefined;
    let stopped = false;
    const tokensAfter: string[] = [];
    const results = await Promise.all(
      requests.map((request, i) =>
        collect(engine, request, (event, soFar) => {
          if (event.type === 'token' && stopped) tokensAfter.push(request.id);
          if (i !== 0 || soFar.length !== 8) return;
          stopped = true;
          if (how === 'close') closed ??= engine.close();
          else for (const other of requests) engine.cancel(other.id);
        }),
      ),
    );
    expect(results.map((result) => result.reason)).toEqual(new Array(3).fill(how === 'close' ? 'failed' : 'cancelled'));
    expect(tokensAfter).toEqual([]);
    await (closed ?? engine.close());
  });
});

it.each([
  ['is stopped', TerminatedError],
  ['fails instead of being stopped', Error],
])('fails what is pending once when it is closed in the middle of a prefill that %s', async (_, Failure) => {
  let stop = () => {};
  const layout = await openWith(() => ({
    prefill: () => new Promise((_, reject) => (stop = () => reject(new Failure('the run ended')))),
    terminate: () => stop(),
  }));
  const engine = createEngine(layout);
  let closed: Promise<void> | undefined;
  const pending = [1, 2].map((seed) =>
    collect(engine, makeRequest({ prompt: promptOf(300, seed), maxNewTokens: 2 }), (event) => {
      if (event.type === 'started') setTimeout(() => (closed = engine.close()), 20);
    }),
  );
  for (const result of await Promise.all(pending)) {
    expect(result).toMatchObject({ reason: 'failed', error: 'the engine was closed' });
  }
  await closed;
});
