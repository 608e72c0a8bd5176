/**
 * How much each caller may still send: requests, and tokens of prompts and answers, per minute. Holds a bounded number of callers.
 * Knows nothing of HTTP, nor who callers are.
 */
import { AppError } from '../contracts/errors.ts';
import { type Bucket, filled, fullBucket, settle, take, untilFull } from './token-bucket.ts';

/** Per minute; null: no limit. */
export interface Limits {
  readonly requests: number | null;
  readonly tokens: number | null;
}

export interface Caller {
  /** The same for all that shares one limit. */
  readonly id: string;
  /** In the message of a refusal: `the key app`. */
  readonly label: string;
  readonly limits: Limits;
}

/** What one caller may still use, for routes. */
export interface Allowance {
  /** Keeps so many for a request; the function that is given must be told how many it used. AppError rate_limited. */
  reserveTokens(tokens: number): (used: number) => void;
}

/** How a caller stands with one of its limits. */
export interface Standing {
  readonly kind: 'requests' | 'tokens';
  readonly limit: number;
  readonly remaining: number;
  readonly untilFullMilliseconds: number;
}

interface Held {
  requests: Bucket;
  tokens: Bucket;
}

/** In each of two generations; together some 15 MB. */
const MOST_CALLERS = 32_768;
/** After a minute every bucket without a debt is full, as if it had never been. */
const GENERATION_MILLISECONDS = 60_000;

export class RateLimiter {
  readonly #now: () => number;
  /** Who came since the last change of generations, and who came in the one before and not again. */
  #recent = new Map<string, Held>();
  #earlier = new Map<string, Held>();
  #changeAt = 0;

  /** `now`: milliseconds on a clock that does not jump. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get callers(): number {
    return this.#recent.size + this.#earlier.size;
  }

  /** Counts a request. AppError rate_limited. */
  countRequest(caller: Caller): void {
    this.#take(caller, 'requests', 1);
  }

  /** Keeps so many tokens for a request; the function that is given tells how many it used. AppError rate_limited. */
  reserveTokens(caller: Caller, tokens: number): (used: number) => void {
    const reserved = this.#take(caller, 'tokens', tokens);
    if (reserved === undefined) return () => {};
    const { held, taken, limit } = reserved;
    return (used) => {
      held.tokens = settle(held.tokens, taken, used, limit, this.#now());
    };
  }

  standings({ id, limits }: Caller): readonly Standing[] {
    const now = this.#now();
    const held = this.#recent.get(id) ?? this.#earlier.get(id);
    return (['requests', 'tokens'] as const).flatMap((kind): Standing[] => {
      const limit = limits[kind];
      if (limit === null) return [];
      const bucket = held?.[kind] ?? fullBucket(limit, now);
      const remaining = Math.max(0, Math.floor(filled(bucket, limit, now).level));
      return [{ kind, limit, remaining, untilFullMilliseconds: untilFull(bucket, limit, now) }];
    });
  }

  #take(caller: Caller, kind: 'requests' | 'tokens', amount: number) {
    const limit = caller.limits[kind];
    if (limit === null) return undefined;
    const now = this.#now();
    const held = this.#hold(caller, now);
    const outcome = take(held[kind], amount, limit, now);
    if ('waitMilliseconds' in outcome) throw refusal(caller, kind, limit, outcome.waitMilliseconds);
    held[kind] = outcome.bucket;
    return { held, taken: outcome.taken, limit };
  }

  #hold({ id, limits }: Caller, now: number): Held {
    if (now >= this.#changeAt || this.#recent.size >= MOST_CALLERS) this.#changeGenerations(now);
    const recent = this.#recent.get(id);
    if (recent !== undefined) return recent;
    const held = this.#earlier.get(id) ?? {
      requests: fullBucket(limits.requests ?? 0, now),
      tokens: fullBucket(limits.tokens ?? 0, now),
    };
    this.#earlier.delete(id);
    this.#recent.set(id, held);
    return held;
  }

  /** Who is forgotten with more addresses than fit gains nothing: whoever has so many has a limit for each. */
  #changeGenerations(now: number): void {
    const forgotten = this.#earlier;
    this.#earlier = this.#recent;
    this.#recent = new Map();
    this.#changeAt = now + GENERATION_MILLISECONDS;
    for (const [id, held] of forgotten) {
      if (held.tokens.level < 0 && this.#recent.size < MOST_CALLERS / 2) this.#recent.set(id, held);
    }
  }
}

function refusal({ label }: Caller, kind: string, limit: number, waitMilliseconds: number): AppError {
  const seconds = waitMilliseconds / 1000;
  return new AppError(
    'rate_limited',
    `${label} may use ${limit} ${kind} per minute; try again in ${Math.max(0.1, Math.ceil(seconds * 10) / 10)} s`,
    { retryAfter: seconds },
  );
}
