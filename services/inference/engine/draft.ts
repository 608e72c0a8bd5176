/**
 * Guesses the next tokens of a sequence from its own past, so that one run can check several: text that quotes, lists or is code
 * repeats itself. Prompt lookup decoding, https://github.com/apoorvumang/prompt-lookup-decoding. Pure; knows neither the model nor
 * how a guess is checked. A guess can cost time, never change a token.
 */

/** The longest run of tokens that is looked for, and the shortest that is worth a guess. */
const LONGEST_MATCH = 4;
const SHORTEST_MATCH = 2;

/** How far back is looked: 8,192 tokens take some 40 microseconds. */
const WINDOW = 8192;

const LONGEST_GUESS = 8;

/** What one more row adds to a run, in runs of one row: 0.1 to 0.27 on two cores without VNNI, by precision and context. */
const ROW_COST = 0.2;

/** How much the newest guess counts. */
const NEWEST_WEIGHT = 0.25;

/** Below what guessing takes: the first right guess of a sequence, which is free, lets it begin. */
export const FIRST_HIT_RATE = 0.15;

/**
 * The `count` tokens that followed the last occurrence of what `tokens` ends with: of its last four tokens where these were there
 * before, otherwise of three or two. What repeats to the very end is taken to go on repeating. Empty when nothing is found.
 */
export function guessTokens(tokens: readonly number[], count: number): number[] {
  const end = tokens.length - 1;
  const oldest = Math.max(0, end - WINDOW);
  let match = { length: SHORTEST_MATCH - 1, at: end };
  for (let at = end - 1; at >= oldest && match.length < LONGEST_MATCH; at--) {
    let length = 0;
    while (length < LONGEST_MATCH && length <= at && tokens[at - length] === tokens[end - length]) length++;
    if (length > match.length) match = { length, at };
  }
  const period = end - match.at;
  if (period === 0) return [];
  return Array.from({ length: count }, (_, i) => tokens[match.at + 1 + (i % period)] ?? 0);
}

/** How many guesses are worth a row each, when each is right with the chance `hitRate` (0..1) once all before it were; 0..8. */
export function guessLength(hitRate: number): number {
  let best = { length: 0, speed: 1 };
  let tokens = 1;
  for (let length = 1; length <= LONGEST_GUESS; length++) {
    tokens += hitRate ** length;
    const speed = tokens / (1 + ROW_COST * length);
    if (speed > best.speed) best = { length, speed };
  }
  return best.length;
}

/** The hit rate after one more guess was seen to be right or wrong. */
export function updateHitRate(hitRate: number, isRight: boolean): number {
  return hitRate + NEWEST_WEIGHT * ((isRight ? 1 : 0) - hitRate);
}
