/**
 * One prompt being continued: what was asked for, how far it has come, and the choice of its next token. Tells its listener what becomes
 * of it. Knows no other sequence, no cache and no layout.
 */
import type { Guide } from './constraint/guide.ts';
import type { TokenMask } from './constraint/mask.ts';
import type { EngineEvent, FinishReason, SequenceRequest } from './contract.ts';
import { FIRST_HIT_RATE } from './draft.ts';
import type { PlannedSequence } from './plan.ts';
import { createSampler, type Sampler } from './sampler.ts';

export type Listener = (event: EngineEvent) => void;

/** How a sequence ends. */
export interface Ending {
  readonly reason: FinishReason;
  readonly error?: string;
  /** The token that was its last, which is not in the cache. */
  readonly token?: number;
}

export class Sequence implements PlannedSequence {
  readonly request: SequenceRequest;
  readonly prompt: readonly number[];
  readonly deadline: number;
  readonly needsPromptLogits: boolean;
  /** When its text must have a form. */
  readonly guide: Guide | undefined;
  cancelled = false;
  isPaused = false;
  slot: number | undefined;
  remaining: number;
  /** The newest token, which is not in the cache yet. */
  lastToken = -1;
  /** How often guesses of its next token have lately been right, 0..1. */
  hitRate = FIRST_HIT_RATE;
  readonly #sampler: Sampler;
  readonly #listener: Listener;
  #isOver = false;

  /** `remaining`: tokens it may generate. */
  constructor(request: SequenceRequest, remaining: number, guide: Guide | undefined, listener: Listener) {
    this.request = request;
    this.prompt = request.prompt;
    this.deadline = request.deadline;
    this.needsPromptLogits = request.promptLogprobs !== undefined;
    this.guide = guide;
    this.remaining = remaining;
    this.#sampler = createSampler(request);
    this.#listener = listener;
  }

  /** Whether its next token is still wanted. */
  get goesOn(): boolean {
    return !this.cancelled && !this.#isOver;
  }

  tell(event: EngineEvent): void {
    tell(this.#listener, event);
  }

  /** Tells its end. */
  end({ reason, error }: Ending): void {
    this.#isOver = true;
    this.tell(error === undefined ? { type: 'finished', reason } : { type: 'finished', reason, error });
  }

  /** Chooses the next token from its row of logits, which may be changed. Returns how it ends by it, or undefined. Throws as the sampler does. */
  sample(row: Float32Array, mask: TokenMask | undefined): Ending | undefined {
    if (this.remaining === 0) return { reason: 'length' };
    const choice = this.#sampler.choose(row, mask);
    if (!choice) return { reason: 'stop' };
    const { token, logprobs } = choice;
    const { eosTokenIds, stopTokenIds } = this.request;
    if (eosTokenIds.includes(token)) return { reason: 'eos', token };
    if (stopTokenIds?.includes(token)) return { reason: 'stop', token };
    this.lastToken = token;
    this.remaining--;
    this.guide?.accept(token);
    this.tell(logprobs ? { type: 'token', token, logprobs } : { type: 'token', token });
    return this.remaining > 0 ? undefined : { reason: 'length', token };
  }
}

export function tell(listener: Listener, event: EngineEvent): void {
  try {
    listener(event);
  } catch (error) {
    // A listener's bug is the caller's: it must not stop the other sequences.
    queueMicrotask(() => {
      throw error;
    });
  }
}
