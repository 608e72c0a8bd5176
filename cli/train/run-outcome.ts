/**
 * How a run ended, for people, for programs, and as an exit code. Pure: what is known of the run in, words out.
 */
import type { RunRecord } from '@slipway/trainer/runs';
import { humanBytes, humanSeconds } from '../human-units.ts';
import { chartLines, type Painter, paceLines } from './run-lines.ts';
import type { RunPicture } from './run-picture.ts';

const CHART_ROWS = 14;

/** 0 it is published, 1 it failed, 2 what was asked for is wrong, 130 it was stopped. */
export function exitCodeOf({ state, failure }: RunRecord, isInterrupted: boolean): number {
  if (state === 'succeeded') return 0;
  if (state === 'failed') return failure?.class === 'user_input' ? 2 : 1;
  return isInterrupted || state === 'cancelled' || state === 'paused' ? 130 : 0;
}

/** `bucket`: the address that commands take when none is given. */
export function describeOutcome(
  run: RunRecord,
  picture: RunPicture,
  bucket: string,
  columns: number,
  paint: Painter,
): string {
  const width = Math.min(columns - 1, 100);
  const pace = run.ended_at === null ? paceLines(picture, width, paint) : [];
  return [
    ...chartLines(picture, width, CHART_ROWS, paint),
    ...pace,
    ...(pace.length === 0 ? [] : ['']),
    ...outcomeLines(run, picture, bucket, paint),
  ].join('\n');
}

function outcomeLines(run: RunRecord, { published }: RunPicture, bucket: string, paint: Painter): string[] {
  const again = `slipway train --resume ${run.id} --follow`;
  switch (run.state) {
    case 'succeeded':
      return [
        `${paint.good('✓')} ${paint.bold(run.published.join(', '))}  ${trainedInWords(run)}`,
        ...published.map(
          ({ version, precision, bytes, perplexity, perplexity_source, top1_agreement, greedy_tokens }) =>
            `  ${version.padEnd(28)} ${precision}, ${humanBytes(bytes)}; perplexity ${(perplexity / perplexity_source).toFixed(4)} times the trained model's, ` +
            `${(top1_agreement * 100).toFixed(1)} % of best tokens agree; in float32 ${greedy_tokens} of ${greedy_tokens} tokens of its answers are the same`,
        ),
        `Serve it: slipway serve ${run.published.at(-1)}${run.bucket === bucket ? '' : ` --bucket ${run.bucket}`}`,
      ];
    case 'failed':
      return [
        `${paint.bad('✗')} ${run.id} failed (${run.failure?.class ?? 'internal'})${placeOf(run)}: ${run.failure?.message ?? run.message}`,
        ...(run.checkpoint_step === null ? [] : [`Its checkpoint of step ${run.checkpoint_step} is kept.`]),
        whatToDo(run, again),
      ];
    case 'paused':
      return [`${run.id} ${run.message}. Go on: ${again}`];
    case 'cancelled':
      return [`${run.id} was cancelled; ${run.published.join(', ') || 'nothing'} was published`];
    default:
      return [`${run.id} goes on (${run.state}). Follow it: slipway runs show ${run.id} --follow`];
  }
}

/** A run that is resumed goes on by its own recipe. */
function whatToDo({ failure }: RunRecord, again: string): string {
  if (failure?.class === 'not_finite') return 'Train anew with another recipe; resumed, it would come to the same.';
  return failure?.class === 'user_input'
    ? `Train anew with another recipe, or, once files and folders are mended: ${again}`
    : `Once that is mended: ${again}`;
}

function trainedInWords({ trained, durations, lineage }: RunRecord): string {
  if (trained === null) return '';
  const loss = trained.best_loss === null ? '' : `, held-out loss ${trained.best_loss.toFixed(3)}`;
  const data = lineage.data?.map(({ name }) => name).join(', ') ?? '';
  return `${trained.step} steps on ${data} in ${humanSeconds(durations.training)}${loss}`;
}

function placeOf({ failure }: RunRecord): string {
  const step = failure?.step == null ? '' : ` at step ${failure.step}`;
  return failure?.example == null ? step : `${step}, example ${failure.example} of the data`;
}

/** The last line of --json. */
export function outcomeForPrograms(run: RunRecord) {
  const { id, state, message, failure, trained, published, durations } = run;
  return { event: 'outcome', run: id, state, message, failure, trained, published, durations };
}
