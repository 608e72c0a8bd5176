/**
 * An evaluation as one HTML file that needs nothing else: no network, and no script but the one that sorts its table. Owns the order of
 * its parts, and that what a model has said is text in it.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EvaluatedSample, Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import { raw } from 'hono/html';
import { figuresSection } from './figures-section.ts';
import { histogram, type Series } from './histogram.ts';
import { lineageSection } from './lineage-section.ts';
import { type LossCurve, lossChart } from './loss-chart.ts';
import { html, type Markup } from './markup.ts';
import { regressionList, sampleTable } from './sample-table.ts';
import { comparisonText, samplesText } from './words.ts';

export type { LossCurve } from './loss-chart.ts';

/** `curves`: of the trainings that made the versions, as far as they are at hand. */
export async function renderReport(evaluation: Evaluation, curves: readonly LossCurve[]): Promise<string> {
  const style = readFileSync(join(import.meta.dirname, 'style.css'), 'utf8');
  const script = readFileSync(join(import.meta.dirname, 'sort-table.js'), 'utf8');
  // The second wall behind the first: nothing runs and nothing is fetched but what stands here.
  const policy = `default-src 'none'; style-src ${digestOf(style)}; script-src ${digestOf(script)}; base-uri 'none'; form-action 'none'`;
  const names = evaluation.versions.map(({ name }) => name);
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="content-security-policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${names.join(' against ')}</title>
<style>${raw(style)}</style></head>
<body><main>${header(evaluation)}
${figuresSection(evaluation)}
${charts(evaluation, curves)}
${regressionList(evaluation)}
<section><h2>Samples</h2><p class="note">Worst first. Marked words are not in the reference. A click on a heading sorts.</p><div class="scroll">${sampleTable(evaluation)}</div></section>
${lineageSection(evaluation)}
</main><script>${raw(script)}</script></body></html>
`;
  return String(await page);
}

function digestOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

function header(evaluation: Evaluation): Markup {
  const { versions, data, samples, notes, created_at } = evaluation;
  const [ours, theirs] = versions;
  const files = data.files.map(({ name }) => name).join(', ');
  const lead = comparisonText(evaluation);
  return html`<header><div class="eyebrow">Slipway evaluation · ${samplesText(samples.length)} of ${files} · ${created_at.slice(0, 16).replace('T', ' ')} UTC</div>
<h1>${ours?.name}${theirs === undefined ? '' : html` <small>against</small> ${theirs.name}`}</h1>${lead === undefined ? '' : html`<p class="lead">${lead}</p>`}${notes.map((note) => html`<p class="note">${note}</p>`)}</header>`;
}

function charts({ versions, samples }: Evaluation, curves: readonly LossCurve[]): Markup | string {
  const seriesOf = (valueIn: (outcome: EvaluatedSample['outcomes'][number]) => number | null | undefined): Series[] =>
    versions.map(({ name }, which) => ({
      name,
      values: samples.flatMap(({ outcomes }) => {
        const outcome = outcomes[which];
        return (outcome && valueIn(outcome)) ?? [];
      }),
    }));
  const histograms = [
    { title: 'Scores of single answers', unit: 'token F1', series: seriesOf(({ scores }) => scores?.token_f1) },
    { title: 'Length of answers', unit: 'tokens', series: seriesOf(({ answer }) => answer?.tokens) },
    { title: 'Time to the whole answer', unit: 'milliseconds', series: seriesOf(({ answer }) => answer?.milliseconds) },
    {
      title: 'Surprise at the reference',
      unit: 'nats per token',
      series: seriesOf(({ likelihood }) => likelihood && Math.log(likelihood.perplexity)),
    },
  ].filter(({ series }) => series.some(({ values }) => values.length > 0));
  if (histograms.length + curves.length === 0) return '';
  const madeBy = (run: string) => versions.filter(({ lineage }) => lineage?.run === run).map(({ name }) => name);
  return html`<section><h2>In pictures</h2><div class="charts">
${curves.map((curve) => lossChart(`Loss in the training of ${madeBy(curve.run).join(' and ')}`, curve))}
${histograms.map(({ title, unit, series }) => histogram(title, unit, series))}</div></section>`;
}
