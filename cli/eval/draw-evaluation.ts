/**
 * An evaluation in the terminal: figures, and what of a comparison is to be trusted. Pure.
 */
import type { Evaluation } from '@slipway/shared/contracts/evaluation.ts';
import {
  changeText,
  comparisonText,
  figureText,
  METRIC_WORDS,
  samplesText,
  VERDICT_WORDS,
} from '@slipway/trainer/evaluation';
import { textTable } from '../text-table.ts';

export function drawEvaluation(evaluation: Evaluation, report: string | undefined): string {
  const { versions, samples, compared, regressions, improvements, data } = evaluation;
  const [ours, theirs] = versions;
  const notes = [
    ...evaluation.notes,
    ...leftOut(data.rejected),
    ...versions.flatMap(({ name, cut, failed }) => [
      ...(failed > 0
        ? [`${name} refused ${failed} samples; the figures are of the ${compared} that all answered`]
        : []),
      ...(cut > 0 ? [`${cut} answers of ${name} reached the limit of new tokens`] : []),
    ]),
  ];
  return [
    `${versions.map(({ name }) => name).join(' against ')}  ${samplesText(samples.length)}`,
    '',
    theirs === undefined ? figures(evaluation) : comparison(evaluation),
    ...(notes.length === 0 ? [] : ['', ...notes]),
    ...(theirs === undefined ? [] : ['', comparisonText(evaluation) ?? '']),
    ...(regressions.length + improvements.length === 0
      ? []
      : [
          `${regressions.length} right before and wrong now, ${improvements.length} the other way round (${ours?.name} now)`,
        ]),
    ...(report === undefined ? [] : ['', `report: ${report}`]),
  ].join('\n');
}

function leftOut({ count, first: [first] }: Evaluation['data']['rejected']): string[] {
  if (first === undefined) return [];
  const one = `${first.file}:${first.line}: ${first.reason}`;
  return [count === 1 ? `one line is left out, ${one}` : `${count} lines are left out, the first ${one}`];
}

function figures({ versions, settings }: Evaluation): string {
  const rows = settings.metrics.flatMap((metric) => {
    const value = versions[0]?.figures[metric];
    return value === undefined ? [] : [[METRIC_WORDS[metric].name, figureText(metric, value)]];
  });
  return textTable(['', '>'], rows);
}

function comparison({ versions, differences }: Evaluation): string {
  const [ours, theirs] = versions;
  const rows = differences.map(({ metric, difference, low, high, verdict }) => [
    METRIC_WORDS[metric].name,
    figureText(metric, ours?.figures[metric] ?? 0),
    figureText(metric, theirs?.figures[metric] ?? 0),
    changeText(metric, difference),
    low === null || high === null ? '' : `${changeText(metric, low)} to ${changeText(metric, high)}`,
    VERDICT_WORDS[verdict],
  ]);
  return textTable(
    ['', '>', '>', '>', '>', ''],
    [['', ours?.name ?? '', theirs?.name ?? '', 'difference', '95 % interval', ''], ...rows],
  );
}
