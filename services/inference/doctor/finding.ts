/**
 * What an examination finds. A problem keeps the service from working, an advice from working well. Knows no check.
 */
export interface Finding {
  /** What was looked at, in a word or two. */
  readonly check: string;
  readonly verdict: 'ok' | 'advice' | 'problem';
  readonly says: string;
  /** How to mend it; only where it is not ok. */
  readonly mend?: string;
}

export const ok = (check: string, says: string): Finding => ({ check, verdict: 'ok', says });
export const advice = (check: string, says: string, mend: string): Finding => ({
  check,
  verdict: 'advice',
  says,
  mend,
});
export const problem = (check: string, says: string, mend: string): Finding => ({
  check,
  verdict: 'problem',
  says,
  mend,
});
