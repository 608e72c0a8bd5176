/**
 * The decisions before a request may run: what fits the context, how long it will take and wait, whether it may come in.
 * Pure: data in, data out. Knows nothing of timers, queues or HTTP.
 */

export interface ContextLimits {
  readonly maxPromptTokens: number;
  /** Prompt and answer together. */
  readonly contextLength: number;
}

/** A prompt never has less than half the context, so that a long answer cannot push all of it out; one position is the engine's. */
export function promptLimit(maxNewTokens: number, limits: ContextLimits): number {
  const reserved = Math.max(1, Math.min(maxNewTokens, Math.floor(limits.contextLength / 2)));
  return Math.max(1, Math.min(limits.maxPromptTokens, limits.contextLength - reserved));
}

/** What is left of the context for the answer. */
export function clampNewTokens(maxNewTokens: number, promptTokens: number, contextLength: number): number {
  return Math.max(Math.min(1, maxNewTokens), Math.min(maxNewTokens, contextLength - promptTokens));
}

/** Measured averages; zero means not known yet. */
export interface Pace {
  readonly secondsPerPromptToken: number;
  readonly secondsPerStep: number;
  /** 0..1: how much of what requests may generate they do generate. */
  readonly usedShare: number;
}

export const UNKNOWN_PACE: Pace = { secondsPerPromptToken: 0, secondsPerStep: 0, usedShare: 1 };

export interface Work {
  readonly promptTokens: number;
  readonly maxNewTokens: number;
  readonly sequences: number;
}

export function expectedSeconds(work: Work, pace: Pace, slots: number): number {
  const rounds = Math.ceil(work.sequences / slots);
  const steps = Math.max(1, work.maxNewTokens * pace.usedShare);
  return work.promptTokens * pace.secondsPerPromptToken + rounds * steps * pace.secondsPerStep;
}

export interface Observation {
  readonly work: Work;
  /** From its slot to its first token. */
  readonly prefillSeconds: number;
  readonly decodeSeconds: number;
  /** Of the longest sequence. */
  readonly generatedTokens: number;
}

const NEWEST_WEIGHT = 0.2;

/** An exponential average, so that yesterday's pace does not refuse today's requests. */
export function updatePace(pace: Pace, seen: Observation, slots: number): Pace {
  const rounds = Math.ceil(seen.work.sequences / slots);
  const blend = (old: number, now: number) => (old === 0 ? now : old + NEWEST_WEIGHT * (now - old));
  return {
    secondsPerPromptToken: blend(pace.secondsPerPromptToken, seen.prefillSeconds / seen.work.promptTokens),
    secondsPerStep:
      seen.generatedTokens > 1
        ? blend(pace.secondsPerStep, seen.decodeSeconds / ((seen.generatedTokens - 1) * rounds))
        : pace.secondsPerStep,
    usedShare: blend(pace.usedShare, Math.min(1, seen.generatedTokens / Math.max(1, seen.work.maxNewTokens))),
  };
}

/** What runs and waits now, in expected seconds of work. */
export interface Load {
  readonly permits: number;
  /** Requests running and waiting. */
  readonly requests: number;
  readonly queueLimit: number;
  readonly secondsAhead: number;
}

export type Admission =
  | { readonly kind: 'admit' }
  | { readonly kind: 'refuse'; readonly why: 'queue_full' | 'too_late'; readonly retryAfter: number };

/** Clients ignore a Retry-After above a minute. */
const LONGEST_RETRY = 60;

/**
 * A free permit always admits: what runs alone shows the true pace, so a bad estimate cannot refuse for ever. Otherwise the work
 * ahead is taken to be shared evenly by all permits.
 */
export function admit(load: Load, request: { expectedSeconds: number; secondsToDeadline: number }): Admission {
  if (load.requests < load.permits) return { kind: 'admit' };
  const wait = load.secondsAhead / load.permits;
  if (load.requests >= load.permits + load.queueLimit) {
    return { kind: 'refuse', why: 'queue_full', retryAfter: wholeSeconds(wait / (load.queueLimit + 1)) };
  }
  const late = wait + request.expectedSeconds - request.secondsToDeadline;
  return late <= 0 ? { kind: 'admit' } : { kind: 'refuse', why: 'too_late', retryAfter: wholeSeconds(late) };
}

function wholeSeconds(seconds: number): number {
  return Math.min(LONGEST_RETRY, Math.max(1, Math.ceil(seconds)));
}
