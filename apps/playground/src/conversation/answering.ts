/**
 * Gets answers into the conversation: asks, takes the pieces as they come, stops, and keeps what was said. Draws at most once per frame,
 * however quick the model is.
 */
import { type AnswerPiece, askFor } from '../api/answer.ts';
import type { Sampling } from '../api/sampling.ts';
import { problemFrom } from '../api/service-error.ts';
import { type Answer, emptyAnswer, extended, type Mode, questionFor, type Turns, withAnswer } from './conversation.ts';
import { ExternalStore } from './external-store.ts';
import { loadTurns, saveTurns } from './stored.ts';

/** Of a lane: whom to ask, and how. */
export interface Asking {
  readonly lane: number;
  readonly model: string;
  readonly mode: Mode;
  readonly sampling: Sampling;
  readonly systemPrompt: string;
  readonly apiKey: string;
}

export const turnsStore = new ExternalStore<Turns>(loadTurns());

const running = new Map<string, AbortController>();

export function send(prompt: string, asked: readonly Asking[]): void {
  // crypto.randomUUID is only there over https and on localhost.
  const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  turnsStore.set([...turnsStore.get(), { id, prompt, answers: [] }]);
  for (const asking of asked) void answer(id, asking);
}

/** Instead of what the lane has answered. */
export function regenerate(turnId: string, asking: Asking): void {
  running.get(keyOf(turnId, asking.lane))?.abort();
  void answer(turnId, asking);
}

export function stopAll(): void {
  for (const controller of running.values()) controller.abort();
}

export function clearConversation(): void {
  stopAll();
  turnsStore.set([]);
  saveTurns([]);
}

function keyOf(turnId: string, lane: number): string {
  return `${turnId}/${lane}`;
}

async function answer(turnId: string, asking: Asking): Promise<void> {
  const { lane, model, mode, sampling, systemPrompt, apiKey } = asking;
  const key = keyOf(turnId, lane);
  const controller = new AbortController();
  running.set(key, controller);
  // One that was asked for anew, or cleared away, is not this one's to change any more.
  const update = (change: (answer: Answer) => Answer) => {
    if (running.get(key) !== controller) return;
    turnsStore.set(withAnswer(turnsStore.get(), turnId, lane, (now) => change(now ?? emptyAnswer(model, mode))));
  };
  update(() => emptyAnswer(model, mode));

  const clock: { began: number; first: number | null; last: number } = {
    began: performance.now(),
    first: null,
    last: 0,
  };
  let pending: AnswerPiece[] = [];
  let frame = 0;
  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    const pieces = pending;
    pending = [];
    if (pieces.length > 0) update((answer) => extended(answer, pieces, clock));
  };
  try {
    const turns = turnsStore.get();
    const question = questionFor(
      turns,
      turns.findIndex(({ id }) => id === turnId),
      lane,
      mode,
      systemPrompt,
    );
    for await (const piece of askFor(model, question, sampling, { apiKey, signal: controller.signal })) {
      if (piece.text !== '' || piece.tokens.length > 0) {
        clock.last = performance.now();
        clock.first ??= clock.last;
      }
      pending.push(piece);
      if (frame === 0) frame = requestAnimationFrame(flush);
    }
    flush();
    update((answer) => ({ ...answer, state: 'done' }));
  } catch (error) {
    flush();
    update((answer) => ended(answer, error, controller.signal.aborted));
  } finally {
    if (running.get(key) === controller) running.delete(key);
    saveTurns(turnsStore.get());
  }
}

function ended(answer: Answer, error: unknown, stopped: boolean): Answer {
  if (stopped) return { ...answer, state: 'stopped' };
  return { ...answer, state: 'failed', problem: problemFrom(error, 'the answer could not be read') };
}

// A reload in the middle of an answer keeps what has come.
addEventListener('pagehide', () => saveTurns(turnsStore.get()));
