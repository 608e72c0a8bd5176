/**
 * What an answer or a failure of a hub means: try again, how soon, or give up and with which words. Pure decisions; knows no network.
 */
import { AppError } from '@slipway/shared/contracts/errors.ts';

/** Reads a header by its lower-case name. */
export type Header = (name: string) => string | null | undefined;

export interface Patience {
  /** Milliseconds before the second attempt; doubles up to `longestPause`. */
  readonly shortestPause: number;
  readonly longestPause: number;
  /** Attempts in a row that bring nothing. */
  readonly attempts: number;
  /** A hub that asks for a longer wait than this many seconds is left alone. */
  readonly longestWait: number;
  /** Milliseconds without a byte after which a connection counts as dead. */
  readonly stall: number;
}

export const PATIENCE: Patience = {
  shortestPause: 500,
  longestPause: 20_000,
  attempts: 6,
  longestWait: 300,
  stall: 30_000,
};

/** A failure that may pass; `seconds` when the hub said how long that takes. */
export class PassingFailure extends Error {
  override readonly name = 'PassingFailure';
  readonly seconds: number | undefined;

  constructor(message: string, seconds?: number, cause?: unknown) {
    super(message, { cause });
    this.seconds = seconds;
  }
}

/** Milliseconds. AppError source_unavailable when the hub asks for more than is bearable. */
export function pauseBefore(attempt: number, failure: PassingFailure, patience: Patience): number {
  const grown = Math.min(patience.longestPause, patience.shortestPause * 2 ** (attempt - 1));
  if (failure.seconds === undefined) return grown;
  if (failure.seconds <= patience.longestWait) return Math.max(failure.seconds * 1000, patience.shortestPause);
  throw new AppError(
    'source_unavailable',
    `${failure.message} and asks to wait ${Math.ceil(failure.seconds)} s; run the same command again then: what has been downloaded is kept`,
  );
}

/** Seconds from `Retry-After` (a number or a date) or from the hub's own `RateLimit: "api";r=0;t=55`. */
function secondsToWait(header: Header, now: number): number | undefined {
  const after = header('retry-after')?.trim();
  if (after !== undefined && /^\d+(\.\d+)?$/.test(after)) return Number(after);
  const date = Date.parse(after ?? '');
  if (!Number.isNaN(date)) return Math.max(0, (date - now) / 1000);
  const reset = /(?:^|;)\s*t=(\d+)/.exec(header('ratelimit') ?? '')?.[1];
  return reset === undefined ? undefined : Number(reset);
}

/** What to throw for an answer that is no success. `what`: the repository or file, for people. */
export function failureOf(status: number, header: Header, what: string, hasToken: boolean): Error {
  if (status === 429) return new PassingFailure('the hub has had too many requests', secondsToWait(header, Date.now()));
  if (status >= 500 || status === 408) {
    return new PassingFailure(`the hub answered with status ${status}`, secondsToWait(header, Date.now()));
  }
  const code = header('x-error-code') ?? '';
  const token = hasToken
    ? 'the token given was not accepted for it'
    : 'set HF_TOKEN or HF_TOKEN_READ to a token that may read it (huggingface.co/settings/tokens)';
  if (code === 'GatedRepo') {
    const ask = "its owner gives access on request: open the model's page on the hub, accept its terms, then ";
    const next = hasToken
      ? 'pull again with a token of the account that was given access'
      : 'set HF_TOKEN or HF_TOKEN_READ to a token of that account';
    return new AppError('unauthorized', `${what} is gated; ${ask}${next}`);
  }
  // The hub does not tell strangers whether a repository exists.
  if (code === 'RepoNotFound' || (code === '' && status === 404)) {
    return new AppError('not_found', `${what} is not on the hub, or it is private; check the name. If it is: ${token}`);
  }
  if (code === 'RevisionNotFound') return new AppError('not_found', `${what}: there is no such revision`);
  if (code === 'EntryNotFound') return new AppError('not_found', `${what}: there is no such file`);
  if (status === 401 || status === 403) return new AppError('unauthorized', `${what} may not be read: ${token}`);
  return new AppError('source_unavailable', `the hub answered with status ${status} for ${what}`);
}
