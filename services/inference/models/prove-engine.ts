/**
 * Whether an engine that has just been opened answers: a few tokens, greedily, before anybody depends on it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import type { Engine, EngineEvent } from '../engine/index.ts';

const TOKENS = 8;
const PATIENCE_MILLISECONDS = 30_000;

/** AppError engine_failed says what came instead. */
export async function proveEngine(engine: Engine, firstToken: number): Promise<void> {
  const tokens: number[] = [];
  const wanted = Math.min(TOKENS, engine.info.contextLength - 1);
  const finished = new Promise<EngineEvent & { type: 'finished' }>((resolve) => {
    engine.submit(
      {
        id: 'proof',
        prompt: [firstToken],
        maxNewTokens: wanted,
        eosTokenIds: [],
        sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 },
        deadline: steadyNow() + PATIENCE_MILLISECONDS,
      },
      (event) => {
        if (event.type === 'token') tokens.push(event.token);
        if (event.type === 'finished') resolve(event);
      },
    );
  });
  const late = new AbortController();
  const end = await Promise.race([
    finished,
    // The engine ends what is late by itself; one that does not is no engine to trust.
    sleep(2 * PATIENCE_MILLISECONDS, undefined, { signal: late.signal }),
  ]);
  late.abort();
  if (end?.reason === 'length' && tokens.length === wanted) return;
  const what = end === undefined ? 'nothing' : (end.error ?? `${tokens.length} tokens and the end "${end.reason}"`);
  throw new AppError('engine_failed', `it was opened, but when asked for ${wanted} tokens it gave ${what}`);
}
