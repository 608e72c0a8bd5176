/**
 * The losses of a training over its steps as a picture: of what was learnt, and of what was held out. Pure.
 */
import { html, type Markup } from './markup.ts';
import { roundScale, type Scale, tickText } from './scale.ts';

export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

export interface LossCurve {
  readonly run: string;
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

const WIDTH = 440;
const HEIGHT = 200;
const PLOT = { left: 40, right: 430, top: 12, bottom: 164 };
/** More cannot be seen. */
const MOST_POINTS = 400;

export function lossChart(title: string, { training, validation }: LossCurve): Markup {
  const all = [...training, ...validation];
  const steps = { low: 0, high: Math.max(1, ...all.map(({ step }) => step)) };
  const losses = { low: Math.min(...all.map(({ loss }) => loss)), high: Math.max(...all.map(({ loss }) => loss)) };
  const across = roundScale(steps, PLOT.left, PLOT.right, 5);
  const up = roundScale(losses, PLOT.bottom, PLOT.top, 4);
  return html`<figure><figcaption>${title}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${up.ticks.map((tick) => html`<line class="grid" x1="${PLOT.left}" x2="${PLOT.right}" y1="${up.at(tick).toFixed(1)}" y2="${up.at(tick).toFixed(1)}"/><text x="${PLOT.left - 6}" y="${(up.at(tick) + 4).toFixed(1)}" text-anchor="end">${tickText(tick)}</text>`)}
<path class="line training" d="${pathOf(training, across, up)}"/>
<path class="line validation" d="${pathOf(validation, across, up)}"/>
${validation.map((point) => html`<circle class="validation-point" cx="${across.at(point.step).toFixed(1)}" cy="${up.at(point.loss).toFixed(1)}" r="2.5"><title>step ${point.step}: ${point.loss.toFixed(4)}</title></circle>`)}
${across.ticks.map((tick) => html`<text x="${across.at(tick).toFixed(1)}" y="${PLOT.bottom + 16}" text-anchor="middle">${tickText(tick)}</text>`)}
<text x="${PLOT.left}" y="${HEIGHT - 4}"><tspan class="training-key">●</tspan> trained on${validation.length > 0 ? html`  <tspan class="validation-key">●</tspan> held out` : ''}</text>
<text x="${PLOT.right}" y="${HEIGHT - 4}" text-anchor="end">step</text>
</svg></figure>`;
}

function pathOf(points: readonly LossPoint[], across: Scale, up: Scale): string {
  const every = Math.max(1, Math.ceil(points.length / MOST_POINTS));
  return points
    .filter((_, index) => index % every === 0 || index === points.length - 1)
    .map(({ step, loss }, index) => `${index === 0 ? 'M' : 'L'}${across.at(step).toFixed(1)} ${up.at(loss).toFixed(1)}`)
    .join('');
}
