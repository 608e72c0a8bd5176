/**
 * The headline figures: of one version as tiles, of two as a table that says which differences are to be trusted, and a picture of them.
 */
import type { Difference, Evaluation, Metric } from '@slipway/shared/contracts/evaluation.ts';
import { html, type Markup } from './markup.ts';
import { changeText, figureText, METRIC_WORDS, VERDICT_WORDS } from './words.ts';

export function figuresSection(evaluation: Evaluation): Markup {
  return evaluation.versions.length === 1 ? tiles(evaluation) : comparison(evaluation);
}

function tiles({ versions, settings }: Evaluation): Markup {
  const [version] = versions;
  return html`<div class="tiles">${settings.metrics.map((metric) => {
    const value = version?.figures[metric];
    if (value === undefined) return '';
    const { name, meaning } = METRIC_WORDS[metric];
    return html`<div class="tile"><span class="label">${name}</span><strong>${figureText(metric, value)}</strong><small>${meaning}</small></div>`;
  })}</div>`;
}

function comparison({ versions, settings, differences }: Evaluation): Markup {
  const [ours, theirs] = versions;
  return html`<div class="scroll"><table class="figures">
<thead><tr><th scope="col">metric</th><th scope="col" class="number"><i class="key series-0"></i>${ours?.name}</th><th scope="col" class="number"><i class="key series-1"></i>${theirs?.name}</th><th scope="col" class="number">difference</th><th scope="col">95 % interval</th><th scope="col">verdict</th></tr></thead>
<tbody>${settings.metrics.map((metric) => {
    const one = differences.find((difference) => difference.metric === metric);
    return one === undefined ? '' : row(one, ours?.figures[metric] ?? 0, theirs?.figures[metric] ?? 0);
  })}</tbody></table></div>`;
}

function row(difference: Difference, ours: number, theirs: number): Markup {
  const { metric, verdict } = difference;
  const { name, meaning } = METRIC_WORDS[metric];
  return html`<tr><th scope="row">${name}<small>${meaning}</small></th>
<td class="number">${figureText(metric, ours)}</td><td class="number">${figureText(metric, theirs)}</td>
<td class="number">${changeText(metric, difference.difference)}</td>
<td>${intervalPicture(difference)}</td><td><span class="verdict ${verdict}">${VERDICT_WORDS[verdict]}</span></td></tr>`;
}

const WIDTH = 180;
const MIDDLE = WIDTH / 2;

function intervalPicture({ metric, difference, low, high }: Difference): Markup | string {
  if (low === null || high === null) return '';
  const reach = Math.max(Math.abs(low), Math.abs(high), Math.abs(difference)) * 1.15 || 1;
  const at = (value: number) => (MIDDLE + (value / reach) * (MIDDLE - 6)).toFixed(1);
  return html`<svg class="interval" viewBox="0 0 ${WIDTH} 20" role="img" aria-label="${inWords(metric, low, high)}"><line class="zero" x1="${MIDDLE}" x2="${MIDDLE}" y1="1" y2="19"/><line class="reach" x1="${at(low)}" x2="${at(high)}" y1="10" y2="10"/><circle cx="${at(difference)}" cy="10" r="4"/></svg><small class="bounds">${inWords(metric, low, high)}</small>`;
}

function inWords(metric: Metric, low: number, high: number): string {
  return `${changeText(metric, low)} to ${changeText(metric, high)}`;
}
