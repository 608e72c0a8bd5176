import { setTimeout as sleep } from 'node:timers/promises';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { describe, expect, it } from 'vitest';
import { type SyntheticSpec, syntheticContinuation } from '../runtime/synthetic-layout.ts';
import { type EngineProcess, type StartOptions, startEngine } from './client.ts';
import { collect, GREEDY, makeRequest } from './testing/collect.ts';

const spec: SyntheticSpec = { kind: 'synthetic', vocabularySize: 500, contextLength: 4096, slots: 4 };
const slow: SyntheticSpec = { ...spec, decodeDelay: 5, prefillDelay: 5 };

/** Programs that misbehave, each in one way. */
const CRASHES = { program: new URL('./testing/crashes.ts', import.meta.url) };
const DIES_OPENING = { program: new URL('./testing/dies-opening.ts', import.meta.url) };
const GARBAGE = { program: new URL('./testing/garbage.ts', import.meta.url) };
const HANGS = { program: new URL('./testing/hangs.ts', import.meta.url) };
const NOISY = { program: new URL('./testing/noisy.ts', import.meta.url) };
const REFUSES = { program: new URL('./testing/refuses.ts', import.meta.url) };
const SILENT = { program: new URL('./testing/silent.ts', import.meta.url) };
const WRONG_VERSION = { program: new URL('./testing/wrong-version.ts', import.meta.url) };

async function withEngine<T>(
  of: SyntheticSpec,
  use: (engine: EngineProcess) => Promise<T>,
  options?: StartOptions,
): Promise<T> {
  const engine = await startEngine(of, options);
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

describe('an engine in a child process', () => {
  it('generates what the formula says, for all sequences at once', () =>
    withEngine(spec, async (engine) => {
      expect(engine.info).toMatchObject({ layout: 'synthetic', slots: 4, contextLength: 4096 });
      const prompts = Array.from({ length: 9 }, (_, i) => Array.from({ length: 5 + 40 * i }, (_, j) => (i * j) % 500));
      const results = await Promise.all(
        prompts.map((prompt) => collect(engine, makeRequest({ prompt, maxNewTokens: 30 }))),
      );
      for (const [i, result] of results.entries()) {
        expect(result.reason).toBe('length');
        expect(result.tokens).toEqual(syntheticContinuation(prompts[i] ?? [], { ...spec, maxNewTokens: 30 }));
      }
      expect(engine.stats()).toMatchObject({ running: 0, waiting: 0, cacheUsage: 0 });
    }));

  it('guesses only when it is to', async () => {
    const periodic = { ...spec, period: 3 };
    const prompt = [1, 2, 3, 1, 2, 3];
    for (const speculate of [undefined, true, false]) {
      await withEngine(
        periodic,
        async (engine) => {
          const { tokens } = await collect(engine, makeRequest({ prompt, maxNewTokens: 60 }));
          expect(tokens).toEqual(syntheticContinuation(prompt, { ...periodic, maxNewTokens: 60 }));
          const { guessed, accepted } = engine.stats();
          if (speculate === false) expect([guessed, accepted]).toEqual([0, 0]);
          else expect(accepted).toBeGreaterThan(10);
          expect(guessed).toBeGreaterThanOrEqual(accepted);
        },
        speculate === undefined ? {} : { speculate },
      );
    }
  });

  it('says what is wrong with a request that cannot run', () =>
    withEngine(spec, async (engine) => {
      const results = await Promise.all([
        collect(engine, makeRequest({ prompt: [], maxNewTokens: 1 })),
        collect(engine, makeRequest({ prompt: [500], maxNewTokens: 1 })),
        collect(engine, makeRequest({ prompt: new Array(4096).fill(1), maxNewTokens: 1 })),
        collect(engine, makeRequest({ prompt: [1], maxNewTokens: 1, sampling: { ...GREEDY, seed: Number.NaN } })),
      ]);
      expect(results.map((result) => result.reason)).toEqual(['failed', 'failed', 'failed', 'failed']);
      expect(results.map((result) => result.error)).toEqual([
        expect.stringContaining('empty'),
        expect.stringContaining('token 500'),
        expect.stringContaining('context of 4096'),
        expect.stringContaining('seed'),
      ]);
    }));

  it('cancels within a step, and inside a long prefill', () =>
    withEngine(slow, async (engine) => {
      const streaming = makeRequest({ prompt: [1, 2], maxNewTokens: 1000 });
      const streamed = collect(engine, streaming, (event, soFar) => {
        if (event.type === 'token' && soFar.length === 6) engine.cancel(streaming.id);
      });
      expect(await streamed).toMatchObject({ reason: 'cancelled' });
      // 512 tokens take 2.5 s here: the run itself is stopped.
      const filling = makeRequest({ prompt: new Array(4000).fill(7), maxNewTokens: 5 });
      const before = performance.now();
      const filled = await collect(engine, filling, (event) => {
        if (event.type === 'started') engine.cancel(filling.id);
      });
      expect(filled).toMatchObject({ reason: 'cancelled', tokens: [] });
      expect(performance.now() - before).toBeLessThan(1500);
      const after = await collect(engine, makeRequest({ prompt: [7, 7], maxNewTokens: 3 }));
      expect(after.tokens).toEqual(syntheticContinuation([7, 7], { ...spec, maxNewTokens: 3 }));
    }));

  it('fails what is pending when it is killed in mid-stream, and says so', async () => {
    const engine = await startEngine(slow);
    const requests = Array.from({ length: 7 }, (_, i) => makeRequest({ prompt: [i + 1], maxNewTokens: 1000 }));
    const results = await Promise.all(
      requests.map((request, i) =>
        collect(engine, request, (event, soFar) => {
          if (i === 0 && event.type === 'token' && soFar.length === 5) process.kill(engine.pid, 'SIGKILL');
        }),
      ),
    );
    for (const result of results) {
      expect(result.reason).toBe('failed');
      expect(result.error).toContain('SIGKILL');
    }
    const late = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 1 }));
    expect(late).toMatchObject({ reason: 'failed', error: expect.stringContaining('SIGKILL') });
    expect(await new Promise((resolve) => engine.onExit(resolve))).toContain('SIGKILL');
    await engine.close();
  });

  it('fails what is pending when it is closed', async () => {
    const engine = await startEngine(slow);
    const pending = collect(engine, makeRequest({ prompt: new Array(4000).fill(3), maxNewTokens: 5 }));
    await engine.close();
    expect(await pending).toMatchObject({ reason: 'failed', error: 'the engine was closed' });
    expect(() => process.kill(engine.pid, 0)).toThrow('ESRCH');
  });

  it('does not die of the signals that end a service', () =>
    withEngine(slow, async (engine) => {
      const result = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 20 }), (event) => {
        if (event.type === 'started') for (const signal of ['SIGTERM', 'SIGINT']) process.kill(engine.pid, signal);
      });
      expect(result.reason).toBe('length');
    }));

  it('leaves no listener and no timer behind', async () => {
    const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)]);
    const start = async () =>
      withEngine(spec, (engine) => collect(engine, makeRequest({ prompt: [1], maxNewTokens: 2 })));
    await start();
    const before = listeners();
    const resources = process.getActiveResourcesInfo().length;
    for (let i = 0; i < 3; i++) await start();
    expect(listeners()).toEqual(before);
    // A closed pipe takes a moment to go; what is left behind stays. Not by vi.waitFor, whose timers would count.
    for (let i = 0; i < 250 && process.getActiveResourcesInfo().length > resources; i++) await sleep(20);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(resources);
  });
});

describe('a child that misbehaves', () => {
  it('speaks another protocol', async () => {
    await expect(startEngine(spec, WRONG_VERSION)).rejects.toThrow('speaks protocol 999');
  });

  it('says something unknown', async () => {
    await expect(startEngine(spec, GARBAGE)).rejects.toThrow('protocol does not know');
  });

  it('says nothing', async () => {
    await expect(startEngine(spec, { ...SILENT, openTimeout: 300 })).rejects.toThrow('within 300 ms');
  });

  it('dies while opening: its last words are told', async () => {
    await expect(startEngine(spec, DIES_OPENING)).rejects.toThrow(/code 3.*weights are on fire/s);
  });

  it('refuses the model: the reason keeps its code', async () => {
    await expect(startEngine(spec, REFUSES)).rejects.toMatchObject({
      code: 'invalid_source',
      message: 'the graph has no logits',
    });
  });

  it('is given up while it opens', async () => {
    const signal = AbortSignal.timeout(100);
    await expect(startEngine(spec, { ...SILENT, signal })).rejects.toThrow('given up');
  });

  it('prints: nothing breaks, and the lines arrive', async () => {
    const lines: string[] = [];
    const options = { ...NOISY, onLine: (line: string) => lines.push(line) };
    await withEngine(
      { ...spec, decodeDelay: 1 },
      async (engine) => {
        const result = await collect(engine, makeRequest({ prompt: [4, 2], maxNewTokens: 50 }));
        expect(result.tokens).toEqual(syntheticContinuation([4, 2], { ...spec, maxNewTokens: 50 }));
      },
      options,
    );
    expect(lines).toContain('warning');
  });

  it('crashes in mid-stream', async () => {
    const engine = await startEngine(spec, CRASHES);
    const result = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 50 }));
    expect(result).toMatchObject({ reason: 'failed', error: expect.stringContaining('SIGABRT') });
    // One token from the prompt and one from each step before the fifth: what was computed arrives before the end.
    expect(result.tokens).toEqual(syntheticContinuation([1], { ...spec, maxNewTokens: 5 }));
  });

  it('hangs: it is ended some time after the deadline', async () => {
    const engine = await startEngine(spec, { ...HANGS, hangGrace: 200 });
    const result = await collect(engine, makeRequest({ prompt: [1], maxNewTokens: 50, deadline: steadyNow() + 1000 }));
    expect(result).toMatchObject({ reason: 'failed', error: expect.stringContaining('did not answer') });
    expect(await new Promise((resolve) => engine.onExit(resolve))).toContain('did not answer');
  });
});
