/**
 * How long examples are in tokens: percentiles, how many would be cut, which length to allow. Pure.
 */

export interface LengthSummary {
  readonly count: number;
  readonly shortest: number;
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly longest: number;
}

/** Rows are padded to multiples of it anyway. */
const STEP = 64;
/** A longest example that is not much longer than the 99th percentile is not worth cutting. */
const WORTH_CUTTING = 1.25;

/** Undefined for none. */
export function summarizeLengths(lengths: readonly number[] | Uint32Array): LengthSummary | undefined {
  if (lengths.length === 0) return undefined;
  const sorted = Uint32Array.from(lengths).toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return {
    count: sorted.length,
    shortest: sorted[0] ?? 0,
    median: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    longest: at(1),
  };
}

/** The 99th percentile rounded up, or the longest where that is little more; at most what the model can take. */
export function suggestMaxLength({ p99, longest }: LengthSummary, contextLength: number): number {
  const needed = longest <= p99 * WORTH_CUTTING ? longest : p99;
  return Math.min(contextLength, Math.max(STEP, Math.ceil(needed / STEP) * STEP));
}

/** How many lengths are from `from` up to, and without, `to`. */
export interface Bar {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** About so many bars of one width, a round number. The last one holds all that is longer. */
export function histogram(lengths: readonly number[] | Uint32Array, wanted: number): Bar[] {
  const summary = summarizeLengths(lengths);
  if (!summary) return [];
  const width = roundUp((summary.p99 + 1) / wanted);
  const bars = Math.min(Math.floor(summary.p99 / width) + 2, Math.floor(summary.longest / width) + 1);
  const counts = new Array<number>(bars).fill(0);
  for (const length of lengths) {
    const bar = Math.min(bars - 1, Math.floor(length / width));
    counts[bar] = (counts[bar] ?? 0) + 1;
  }
  return counts.map((count, bar) => ({
    from: bar * width,
    to: bar === bars - 1 ? Math.max(summary.longest + 1, (bar + 1) * width) : (bar + 1) * width,
    count,
  }));
}

/** To 1, 2 or 5 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.max(1, ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power);
}

export function countLonger(lengths: readonly number[] | Uint32Array, maxLength: number): number {
  let count = 0;
  for (const length of lengths) if (length > maxLength) count++;
  return count;
}

export interface CutQuestion {
  /** Examples that would be cut or left out, of `count`. */
  readonly cut: number;
  readonly count: number;
  readonly maxLength: number;
  /** Share. */
  readonly allowed: number;
  readonly contextLength: number;
}

/** Why so many may not be cut, with the numbers and what to set; undefined when they may. */
export function whyTooManyCut(summary: LengthSummary, question: CutQuestion): string | undefined {
  const { cut, count, maxLength, allowed, contextLength } = question;
  if (cut <= allowed * count) return undefined;
  const suggested = suggestMaxLength(summary, contextLength);
  const known = `99 % of them have at most ${summary.p99} tokens, the longest ${summary.longest}`;
  const raise =
    suggested > maxLength
      ? `set data.max_length to ${suggested} (${known})`
      : `the model takes no more than ${contextLength}: shorten or leave out the longest ones (${known})`;
  return `${cut} of ${count} examples (${percent(cut / count)}) have more than ${maxLength} tokens and would be cut, and data.truncated allows ${percent(allowed)}: ${raise}, or raise data.truncated`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1).replace(/\.0$/, '')} %`;
}
