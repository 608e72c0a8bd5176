/**
 * Where the windows over a long text lie. Pure.
 */

/** Of the tokens `start` to `end` those from `scoredFrom` are scored; what is before them is their context. */
export interface ScoreWindow {
  readonly start: number;
  readonly end: number;
  readonly scoredFrom: number;
}

/**
 * Every token but the first is scored once. The first window scores all it has; each next one begins `stride` tokens later and scores
 * what had no place before, so that no token has less context than `length - stride` tokens, unless the text has not so many before it.
 */
export function planWindows(tokens: number, length: number, stride: number): ScoreWindow[] {
  const windows: ScoreWindow[] = [];
  for (let start = 0, scored = 1; scored < tokens; start += stride) {
    const end = Math.min(start + length, tokens);
    windows.push({ start, end, scoredFrom: scored });
    scored = end;
  }
  return windows;
}
