import { afterEach, describe, expect, it } from 'vitest';
import { type EngineProcess, startEngine } from '../engine/index.ts';
import { proveEngine } from './prove-engine.ts';

let engine: EngineProcess | undefined;
afterEach(() => engine?.close());

async function start(program?: string): Promise<EngineProcess> {
  engine = await startEngine(
    { kind: 'synthetic', vocabularySize: 16, contextLength: 32, slots: 1 },
    program === undefined ? {} : { program: new URL(`../engine/testing/${program}`, import.meta.url) },
  );
  return engine;
}

describe('proveEngine', () => {
  it('lets an engine pass that gives the tokens it is asked for', async () => {
    await proveEngine(await start(), 1);
  });

  it('says what came instead of them', async () => {
    await expect(proveEngine(await start('crashes.ts'), 1)).rejects.toMatchObject({
      code: 'engine_failed',
      message: expect.stringMatching(/when asked for 8 tokens it gave the engine process /),
    });
    await expect(proveEngine(await start(), 99)).rejects.toThrow(/when asked for 8 tokens it gave /);
  });
});
