/**
 * Counts an engine's steps, what they computed, and how its guesses fared, since its process began. Knows nothing of sequences.
 */
import type { EngineStats } from './contract.ts';

/** Tokens of a step, prompt and answer alike. */
export const STEP_TOKEN_BOUNDS: readonly number[] = [1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];

type Counted = Omit<EngineStats, 'running' | 'waiting' | 'cacheUsage'>;

export class StepCounts {
  steps = 0;
  #tokens = 0;
  readonly #byTokens: number[] = new Array(STEP_TOKEN_BOUNDS.length + 1).fill(0);
  #drafts = 0;
  #guessed = 0;
  readonly #acceptedAt: number[] = [];

  addStep(tokens: number): void {
    this.steps++;
    this.#tokens += tokens;
    const bound = STEP_TOKEN_BOUNDS.findIndex((most) => tokens <= most);
    const index = bound < 0 ? STEP_TOKEN_BOUNDS.length : bound;
    this.#byTokens[index] = (this.#byTokens[index] ?? 0) + 1;
  }

  addDraft(guesses: number): void {
    if (guesses === 0) return;
    this.#drafts++;
    this.#guessed += guesses;
  }

  /** `position`: which guess of its draft, from 0. Those before it were right as well. */
  addAccepted(position: number): void {
    this.#acceptedAt[position] = (this.#acceptedAt[position] ?? 0) + 1;
  }

  read(): Counted {
    return {
      steps: this.steps,
      stepTokens: { counts: this.#byTokens, sum: this.#tokens },
      drafts: this.#drafts,
      guessed: this.#guessed,
      accepted: this.#acceptedAt.reduce((sum, count) => sum + count, 0),
      acceptedAt: this.#acceptedAt,
    };
  }
}

/** Of an engine that has done nothing yet. */
export const IDLE_STATS: EngineStats = { running: 0, waiting: 0, cacheUsage: 0, ...new StepCounts().read() };
