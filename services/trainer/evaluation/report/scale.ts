/**
 * From values to places in a picture, and the round numbers that stand beside it. Pure.
 */

export interface Scale {
  readonly low: number;
  readonly high: number;
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** Begins and ends at round numbers. `from` and `to`: where these are in the picture. */
export function roundScale(values: { low: number; high: number }, from: number, to: number, steps: number): Scale {
  const span = values.high > values.low ? values.high - values.low : Math.abs(values.high) || 1;
  const step = roundStep(span / steps);
  const low = Math.floor(values.low / step) * step;
  const high = Math.max(low + step, Math.ceil(values.high / step) * step);
  const count = Math.round((high - low) / step);
  const ticks = Array.from({ length: count + 1 }, (_, index) => low + index * step);
  return { low, high, ticks, at: (value) => from + ((value - low) / (high - low)) * (to - from) };
}

/** 1, 2 or 5 times a power of ten, not below `least`. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((one) => one * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

export function tickText(value: number): string {
  if (Math.abs(value) >= 10_000) return `${Number((value / 1000).toPrecision(4))}k`;
  return String(Number(value.toPrecision(6)));
}
