import { expect, it, vi } from 'vitest';
import { type SyntheticSpec, syntheticContinuation } from '../runtime/synthetic-layout.ts';
import { type EngineState, superviseEngine } from './supervised-engine.ts';
import { collect, makeRequest } from './testing/collect.ts';

const spec: SyntheticSpec = { kind: 'synthetic', vocabularySize: 500, contextLength: 512, slots: 4, decodeDelay: 2 };

it('starts a dead engine again and answers as before', async () => {
  const states: EngineState[] = [];
  const engine = await superviseEngine(spec, { onState: (state) => states.push(state), shortestPause: 200 });
  const first = engine.state();
  const request = makeRequest({ prompt: [9], maxNewTokens: 100 });
  const cut = await collect(engine, request, (event, soFar) => {
    const state = engine.state();
    if (event.type === 'token' && soFar.length === 4 && state.kind === 'ready') process.kill(state.pid, 'SIGKILL');
  });
  expect(cut).toMatchObject({ reason: 'failed', error: expect.stringContaining('SIGKILL') });

  await vi.waitFor(() => expect(engine.state().kind).toBe('restarting'), { interval: 1 });
  const meanwhile = await collect(engine, makeRequest({ prompt: [9], maxNewTokens: 1 }));
  expect(meanwhile).toMatchObject({ reason: 'failed', error: expect.stringContaining('restarting') });

  await vi.waitFor(() => expect(engine.state().kind).toBe('ready'), { timeout: 20_000 });
  expect(engine.state()).not.toEqual(first);
  const again = await collect(engine, makeRequest({ prompt: [9], maxNewTokens: 20 }));
  expect(again.tokens).toEqual(syntheticContinuation([9], { ...spec, maxNewTokens: 20 }));
  await engine.close();
  expect(states.map((state) => state.kind)).toEqual(['loading', 'ready', 'restarting', 'ready']);
});

it('does not try again what the layout refuses', async () => {
  const states: EngineState[] = [];
  const program = new URL('./testing/refuses.ts', import.meta.url);
  await expect(superviseEngine(spec, { program, onState: (state) => states.push(state) })).rejects.toMatchObject({
    code: 'invalid_source',
  });
  expect(states.map((state) => state.kind)).toEqual(['loading', 'failed']);
});

it('gives up a first start that dies again and again', async () => {
  const states: EngineState[] = [];
  const program = new URL('./testing/dies-opening.ts', import.meta.url);
  const started = superviseEngine(spec, { program, onState: (state) => states.push(state), shortestPause: 1 });
  await expect(started).rejects.toThrow('weights are on fire');
  expect(states.map((state) => state.kind)).toEqual(['loading', 'restarting', 'restarting', 'failed']);
});

it('closes while it is being started again', async () => {
  const engine = await superviseEngine(spec, { shortestPause: 60_000 });
  const state = engine.state();
  if (state.kind === 'ready') process.kill(state.pid, 'SIGKILL');
  await vi.waitFor(() => expect(engine.state().kind).toBe('restarting'));
  await engine.close();
  expect(engine.state().kind).toBe('failed');
});
