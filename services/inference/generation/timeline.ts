/**
 * What happened to one request, and when: told to its observer as it happens, and the times that its answer, its engine's pace and its
 * records have of it. Knows neither tokens nor texts.
 */
import type { GenerateAnswer } from '@slipway/shared/contracts/generate.ts';
import type { Observation } from './admission.ts';
import type { FinishedGeneration, GenerationObserver } from './observer.ts';

type Timings = GenerateAnswer['timings'];
type Spans = Pick<Observation, 'prefillSeconds' | 'decodeSeconds'>;

export class Timeline {
  readonly #observer: GenerationObserver;
  /** This and all other moments as performance.now() has them. */
  readonly #arrivedAt: number;
  #startedAt: number | undefined;
  #firstTokenAt: number | undefined;
  /** Of each sequence. */
  readonly #lastTokenAt: number[] = [];
  #cachedTokens = 0;

  constructor(arrivedAt: number, observer: GenerationObserver) {
    this.#arrivedAt = arrivedAt;
    this.#observer = observer;
  }

  /** Whether one of its sequences has had a slot. */
  get hasStarted(): boolean {
    return this.#startedAt !== undefined;
  }

  asksForTurn(): void {
    this.#observer.arrived();
  }

  sequenceStarted(promptTokens: number, cachedTokens: number): void {
    if (this.#startedAt === undefined) {
      this.#startedAt = performance.now();
      this.#cachedTokens = cachedTokens;
      this.#observer.leftQueue((this.#startedAt - this.#arrivedAt) / 1000);
    }
    this.#observer.sequenceStarted(promptTokens, cachedTokens);
  }

  /** `index`: the sequence whose token it is. */
  token(index: number): void {
    const now = performance.now();
    if (this.#firstTokenAt === undefined) {
      this.#firstTokenAt = now;
      this.#observer.firstToken((now - this.#arrivedAt) / 1000);
    }
    const last = this.#lastTokenAt[index];
    this.#observer.token(last === undefined ? undefined : (now - last) / 1000);
    this.#lastTokenAt[index] = now;
  }

  finished(generation: Omit<FinishedGeneration, 'totalSeconds' | keyof Spans>): void {
    const now = performance.now();
    this.#observer.finished({
      ...generation,
      totalSeconds: (now - this.#arrivedAt) / 1000,
      ...this.#spans(now),
    });
  }

  /** How long it has computed, for those who estimate what comes; undefined before its first token. */
  pace(): Spans | undefined {
    return this.#firstTokenAt === undefined ? undefined : this.#spans(performance.now());
  }

  /** Of an answer that has come so far. */
  timings(completionTokens: number): Timings {
    const now = performance.now();
    const startedAt = this.#startedAt ?? now;
    return {
      queue_ms: hundredths(startedAt - this.#arrivedAt),
      time_to_first_token_ms:
        this.#firstTokenAt === undefined ? null : hundredths(this.#firstTokenAt - this.#arrivedAt),
      total_ms: hundredths(now - this.#arrivedAt),
      tokens_per_second: perSecond(completionTokens, now - startedAt),
      cached_prompt_tokens: this.#cachedTokens,
    };
  }

  /** Of an answer that was there already. */
  timingsOfReplay({ prompt_tokens, completion_tokens }: GenerateAnswer['usage']): Timings {
    const elapsed = hundredths(performance.now() - this.#arrivedAt);
    return {
      queue_ms: 0,
      time_to_first_token_ms: elapsed,
      total_ms: elapsed,
      tokens_per_second: perSecond(completion_tokens, elapsed),
      cached_prompt_tokens: prompt_tokens,
    };
  }

  /** From a slot to the first token, and from there to `now`; 0 where it has not come so far. */
  #spans(now: number): Spans {
    const firstTokenAt = this.#firstTokenAt ?? now;
    return {
      prefillSeconds: (firstTokenAt - (this.#startedAt ?? now)) / 1000,
      decodeSeconds: (now - firstTokenAt) / 1000,
    };
  }
}

function perSecond(tokens: number, milliseconds: number): number {
  return hundredths((tokens * 1000) / Math.max(0.001, milliseconds));
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
