/**
 * Samples with what was wanted and what was answered, worst first; and those that were right before. Owns how many are shown.
 */
import type { EvaluatedSample, Evaluation, Outcome } from '@slipway/shared/contracts/evaluation.ts';
import { markedAnswer } from './marked-differences.ts';
import { html, type Markup } from './markup.ts';

const MOST_ROWS = 500;
const MOST_REGRESSIONS = 25;
/** Of a long text both ends are enough. */
const SHOWN_CHARACTERS = 1200;

interface Row {
  readonly sample: EvaluatedSample;
  readonly index: number;
  readonly score: number;
}

export function sampleTable({ samples, versions }: Evaluation): Markup {
  const rows = samples
    .map((sample, index): Row => ({ sample, index, score: scoreOf(sample.outcomes[0]) }))
    .sort((one, other) => one.score - other.score);
  const shown = rows.slice(0, MOST_ROWS);
  const hidden = rows.length - shown.length;
  const scoreName = samples.some(({ outcomes }) => outcomes[0]?.scores) ? 'F1' : 'perplexity';
  const heads = ['sample', 'prompt', 'reference', ...versions.map(({ name }) => name)];
  const scores = versions.length === 1 ? [scoreName] : [scoreName, `${scoreName} before`, 'change'];
  return html`<table class="samples" id="samples">
<thead><tr>${heads.map((head, place) => html`<th scope="col">${place === 0 ? sorter(head, 'ascending') : head}</th>`)}${scores.map((head, place) => html`<th scope="col" class="number"${place === 0 ? html` aria-sort="ascending"` : ''}>${sorter(head)}</th>`)}</tr></thead>
<tbody>${shown.map((row) => sampleRow(row, versions.length))}</tbody></table>
${hidden > 0 ? html`<p class="note">${hidden} more, with better scores, are left out here; --json has all.</p>` : ''}`;
}

function sorter(head: string, direction?: string): Markup {
  return html`<button type="button" data-first="${direction ?? 'ascending'}">${head}</button>`;
}

function sampleRow({ sample, index, score }: Row, versions: number): Markup {
  const before = scoreOf(sample.outcomes[1]);
  const numbers = versions === 1 ? [score] : [score, before, score - before];
  return html`<tr><td data-value="${index}"><small>${sample.place}</small></td><td><div class="text">${shortened(sample.prompt)}</div></td><td><div class="text">${shortened(sample.reference)}</div></td>${sample.outcomes.map((outcome) => html`<td>${answerCell(outcome, sample.reference)}</td>`)}${numbers.map((value) => html`<td class="number" data-value="${value}">${numberText(value)}</td>`)}</tr>`;
}

function answerCell({ answer, likelihood, error }: Outcome, reference: string): Markup {
  if (error !== null) return html`<div class="text refused">${error}</div>`;
  if (answer === null) return html`<small>perplexity ${likelihood?.perplexity.toFixed(2)}</small>`;
  const isCut = answer.finish_reason === 'length';
  return html`<div class="text">${markedAnswer(shortened(answer.text), shortened(reference))}</div><small>${answer.tokens} tokens${isCut ? ', cut' : ''}, ${Math.round(answer.milliseconds)} ms${likelihood ? `, perplexity ${likelihood.perplexity.toFixed(2)}` : ''}</small>`;
}

/** Better is higher, so that the worst come first: refused ones before all others. */
function scoreOf(outcome: Outcome | undefined): number {
  if (outcome?.scores) return outcome.scores.token_f1;
  // Of a text there is only its surprise.
  return outcome?.likelihood ? -outcome.likelihood.perplexity : Number.NEGATIVE_INFINITY;
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) return '–';
  return value < -1 ? (-value).toFixed(2) : value.toFixed(2);
}

export function regressionList({ regressions, improvements, samples, versions }: Evaluation): Markup | string {
  const [ours, theirs] = versions;
  if (theirs === undefined || samples.every(({ outcomes }) => outcomes.every(({ answer }) => !answer))) return '';
  const counted = `${regressions.length} samples that ${theirs.name} answers exactly are answered otherwise by ${ours?.name}; ${improvements.length} the other way round.`;
  const shown = regressions.slice(0, MOST_REGRESSIONS);
  return html`<section><h2>Right before, wrong now</h2><p>${counted}</p>${shown.map((index) => {
    const sample = samples[index];
    if (sample === undefined) return '';
    const [now, before] = sample.outcomes;
    return html`<details class="regression"><summary>${shortened(sample.prompt).slice(0, 160)} <small>${sample.place}</small></summary>
<dl><dt>wanted</dt><dd class="text">${shortened(sample.reference)}</dd><dt>before</dt><dd class="text">${shortened(before?.answer?.text.trim() ?? '')}</dd><dt>now</dt><dd class="text">${markedAnswer(shortened(now?.answer?.text ?? ''), shortened(sample.reference))}</dd></dl></details>`;
  })}${regressions.length > shown.length ? html`<p class="note">${regressions.length - shown.length} more: --json has all.</p>` : ''}</section>`;
}

function shortened(text: string): string {
  if (text.length <= SHOWN_CHARACTERS) return text;
  const half = SHOWN_CHARACTERS / 2;
  return `${text.slice(0, half)} … ${text.slice(-half)}`.toWellFormed();
}
