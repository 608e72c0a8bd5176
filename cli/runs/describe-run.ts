/**
 * What is known of a run, for people: one line for each thing they ask about. Pure; --json has all of it.
 */
import type { RunRecord } from '@slipway/trainer/runs';
import { humanAgo, humanBytes, humanCount, humanSeconds } from '../human-units.ts';
import { textTable } from '../text-table.ts';

const SHOWN_HASH = 12;

export function describeRun(run: RunRecord, folder: string, now: Date): string {
  const { lineage, hardware } = run;
  const { libraries = {}, git_commit = '', data = [] } = lineage;
  const { torch = '', transformers = '' } = libraries;
  const rows = [
    ['state', `${run.state}: ${run.message}`],
    ['recipe', `${run.recipe_label}, priority ${run.priority}, submitted by ${run.owner}`],
    ['begun', run.started_at === null ? 'not yet' : `${humanAgo(new Date(run.started_at), now)} (${run.started_at})`],
    ['ended', run.ended_at === null ? '' : `${humanAgo(new Date(run.ended_at), now)} (${run.ended_at})`],
    ['took', durationsInWords(run)],
    ['tried', triesInWords(run)],
    ...data.map(({ name, bytes, sha256 }, index) => [
      index === 0 ? 'data' : '',
      `${name}, ${humanBytes(bytes)}, sha256 ${sha256.slice(0, SHOWN_HASH)}`,
    ]),
    ['parent', lineage.parent ?? ''],
    ['trained', trainedInWords(run)],
    ['published', run.published.length === 0 ? '' : `${run.published.join(', ')} in ${run.bucket}`],
    [
      'machine',
      `${hardware.processor}, ${hardware.cores} cores, ${humanBytes(hardware.memory_bytes)}${hardware.device === null ? '' : `; ${hardware.device}`}`,
    ],
    [
      'software',
      [torch && `torch ${torch}`, transformers && `transformers ${transformers}`, git_commit && `git ${git_commit}`]
        .filter((part) => part !== '')
        .join(', '),
    ],
    ['folder', folder],
    ['', run.freed_at === null ? '' : `its checkpoints, model and data were removed on ${run.freed_at} to make room`],
  ].filter(([, value]) => value !== '');
  return `${run.id}  ${run.name}\n${textTable(
    ['', ''],
    rows.map(([label = '', value = '']) => [`  ${label}`, value]),
  )}`;
}

function durationsInWords({ durations: { preparing, training, publishing } }: RunRecord): string {
  const all = preparing + training + publishing;
  if (all === 0) return '';
  const parts = { preparing, training, publishing };
  const each = Object.entries(parts).flatMap(([name, seconds]) =>
    seconds === 0 ? [] : `${name} ${humanSeconds(seconds)}`,
  );
  return `${humanSeconds(all)}: ${each.join(', ')}`;
}

function triesInWords({ attempts, retries, checkpoint_step }: RunRecord): string {
  if (attempts < 2) return '';
  const reasons = Object.entries(retries).map(([reason, count]) => `${reason} ${count}`);
  const since = reasons.length === 0 ? '' : `; since the last checkpoint: ${reasons.join(', ')}`;
  return `${attempts} kernels${checkpoint_step === null ? '' : `, the last checkpoint is of step ${checkpoint_step}`}${since}`;
}

function trainedInWords({ trained }: RunRecord): string {
  if (trained === null) return '';
  const { step, tokens, loss, best_loss, best_step, peak_memory_bytes } = trained;
  return [
    `${step} steps, ${humanCount(tokens)} tokens`,
    loss === null ? '' : `loss ${loss.toFixed(3)}`,
    best_loss === null ? '' : `held out ${best_loss.toFixed(3)} at step ${best_step}`,
    `at most ${humanBytes(peak_memory_bytes)} of memory`,
  ]
    .filter((part) => part !== '')
    .join('; ');
}
