/**
 * How values are spread, for one version or two beside each other, as a picture. Pure.
 */
import { html, type Markup } from './markup.ts';
import { roundScale, tickText } from './scale.ts';

export interface Series {
  readonly name: string;
  readonly values: readonly number[];
}

const WIDTH = 440;
const HEIGHT = 200;
const PLOT = { left: 40, right: 430, top: 12, bottom: 164 };
const BINS = 16;
const TICKS = 6;

/** Of each bin the number of values; the last bin has its upper edge too. */
function binCounts(values: readonly number[], low: number, high: number, bins: number): number[] {
  const counts = new Array<number>(bins).fill(0);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(((value - low) / (high - low)) * bins)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

/** `unit` stands under the axis. */
export function histogram(title: string, unit: string, series: readonly Series[]): Markup {
  const all = series.flatMap(({ values }) => values);
  const bounds = all.reduce(({ low, high }, value) => ({ low: Math.min(low, value), high: Math.max(high, value) }), {
    low: Number.POSITIVE_INFINITY,
    high: Number.NEGATIVE_INFINITY,
  });
  const across = roundScale({ low: Math.min(0, bounds.low), high: bounds.high }, PLOT.left, PLOT.right, TICKS);
  const counted = series.map(({ values }) => binCounts(values, across.low, across.high, BINS));
  const most = Math.max(1, ...counted.flat());
  const up = roundScale({ low: 0, high: most }, PLOT.bottom, PLOT.top, 3);
  const binWidth = (PLOT.right - PLOT.left) / BINS;
  const barWidth = (binWidth - 3) / series.length;
  const bars = counted.flatMap((counts, which) =>
    counts.map((count, bin) => {
      if (count === 0) return '';
      const y = up.at(count);
      const x = PLOT.left + bin * binWidth + 1.5 + which * barWidth;
      const range = [bin, bin + 1].map((edge) => tickText(across.low + ((across.high - across.low) * edge) / BINS));
      return html`<rect class="series-${which}" x="${round(x)}" y="${round(y)}" width="${round(barWidth)}" height="${round(PLOT.bottom - y)}" rx="1.5"><title>${series[which]?.name}: ${count} from ${range[0]} to ${range[1]}</title></rect>`;
    }),
  );
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${up.ticks.map((tick) => (Number.isInteger(tick) ? html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${round(up.at(tick))}" y2="${round(up.at(tick))}"/><text x="${PLOT.left - 6}" y="${round(up.at(tick) + 4)}" text-anchor="end">${tickText(tick)}</text>` : ''))}
${bars}
${across.ticks.map((tick) => html`<text x="${round(across.at(tick))}" y="${PLOT.bottom + 16}" text-anchor="middle">${tickText(tick)}</text>`)}
<text x="${PLOT.right}" y="${HEIGHT - 4}" text-anchor="end">${unit}</text>
</svg></figure>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
