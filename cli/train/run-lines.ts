/**
 * A run as lines of a terminal: its stages, curves, pace and samples, as many as fit. Pure: a picture and a size in, lines out.
 */
import { stripVTControlCharacters } from 'node:util';
import { humanBytes, humanCount, humanSeconds } from '../human-units.ts';
import { brailleChart } from './braille-chart.ts';
import { type RunPicture, secondsLeft } from './run-picture.ts';

export interface Painter {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly training: (text: string) => string;
  readonly validation: (text: string) => string;
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
}

const code = (open: number, close: number) => (text: string) => `\x1b[${open}m${text}\x1b[${close}m`;

export const COLOURS: Painter = {
  bold: code(1, 22),
  dim: code(2, 22),
  training: code(36, 39),
  validation: code(33, 39),
  good: code(32, 39),
  bad: code(31, 39),
};

const plain = (text: string) => text;

export const PLAIN: Painter = { bold: plain, dim: plain, training: plain, validation: plain, good: plain, bad: plain };

export interface RunView {
  readonly name: string;
  readonly id: string;
  /** What Ctrl-C does now. */
  readonly hint: string;
}

const WIDEST = 110;
const BAR = 28;
const SHORTEST_CHART = 6;
const TALLEST_CHART = 18;
/** Of a sample's line: what was asked is at the end of what a template makes of it, and the answer is what one looks for. */
const PROMPT_SHARE = 0.4;

/** At most `rows` lines of at most `columns` characters. */
export function runLines(view: RunView, picture: RunPicture, columns: number, rows: number, paint: Painter): string[] {
  const width = Math.min(columns - 1, WIDEST);
  const head = [titleLine(view, picture, width, paint), '', stageLine(picture, width, paint), ''];
  const pace = paceLines(picture, width, paint);
  const samples = sampleLines(picture, width, paint);
  const foot = [
    ...(picture.warning === null ? [] : ['', paint.validation(cut(`  ${picture.warning}`, width))]),
    '',
    paint.dim(cut(`  ${view.hint}`, width)),
  ];
  const taken = head.length + pace.length + foot.length;
  const chartRows = Math.min(TALLEST_CHART, rows - taken - Math.min(samples.length, 4) - 1);
  const chart = chartRows < SHORTEST_CHART ? [] : chartLines(picture, width, chartRows, paint);
  const room = Math.max(0, rows - taken - chart.length);
  return [...head, ...chart, ...pace, ...samples.slice(0, room), ...foot].slice(0, rows);
}

/** The chart with its legend; empty while there is no loss. */
export function chartLines(picture: RunPicture, width: number, height: number, paint: Painter): string[] {
  const { training, validation, best, started, progress } = picture;
  const lastStep = progress?.total_steps ?? started?.total_steps ?? 0;
  const series = [
    { points: training, paint: paint.training },
    { points: validation, paint: paint.validation },
  ];
  const lines = brailleChart(series, width, height - 2, lastStep);
  if (lines.length === 0) return [];
  const legend = [
    training.length === 0 ? '' : `${paint.training('━━')} train ${loss(training.at(-1)?.loss)}`,
    validation.length === 0 ? '' : `${paint.validation('━━')} held out ${loss(validation.at(-1)?.loss)}`,
    best === null ? '' : paint.dim(`best ${loss(best.loss)} at step ${best.step}`),
  ].filter((part) => part !== '');
  return [...lines, `  ${legend.join('   ')}`, ''];
}

function titleLine({ name, id }: RunView, { state, message }: RunPicture, width: number, paint: Painter): string {
  const colour =
    state === 'failed' || state === 'cancelled' ? paint.bad : state === 'succeeded' ? paint.good : paint.bold;
  const left = ` ${name}  ${id}`;
  const right = cut(message, Math.max(0, width - left.length - 2));
  const gap = ' '.repeat(Math.max(1, width - left.length - right.length));
  return ` ${paint.bold(name)}  ${paint.dim(id)}${gap}${colour(right)}`;
}

const STAGES = ['preparing', 'running', 'publishing'] as const;
const STAGE_NAMES = { preparing: 'prepare', running: 'train', publishing: 'prove and publish' } as const;

/** Without what was prepared where there is no room for it. */
function stageLine(picture: RunPicture, width: number, paint: Painter): string {
  const line = stagesInWords(picture, paint);
  return widthOf(line) <= width ? line : stagesInWords({ ...picture, data: null }, paint);
}

function stagesInWords({ state, phase, data, published }: RunPicture, paint: Painter): string {
  const at =
    state === 'succeeded'
      ? STAGES.length
      : STAGES.findIndex((stage) => stage === (state === 'pausing' ? 'running' : state));
  const steps = STAGES.map((stage, index) => {
    const name = STAGE_NAMES[stage];
    if (index < at)
      return `${paint.good('✓')} ${name}${stage === 'preparing' && data !== null ? paint.dim(` ${dataWords(data)}`) : ''}`;
    if (index > at) return paint.dim(`· ${name}`);
    const done =
      phase === null
        ? ''
        : `  ${phase.name}${phase.part > 0 && phase.part < 1 ? ` ${Math.floor(phase.part * 100)} %` : ''}`;
    return `${paint.training('▸')} ${paint.bold(name)}${paint.dim(done)}`;
  });
  const made = published.length === 0 ? '' : `   ${paint.good(published.map(({ version }) => version).join(', '))}`;
  return ` ${steps.join('   ')}${made}`;
}

function dataWords({ tokens, validation_tokens, rejected }: NonNullable<RunPicture['data']>): string {
  const held = validation_tokens === 0 ? '' : `, ${humanCount(validation_tokens)} held out`;
  return `${humanCount(tokens)} tokens${held}${rejected === 0 ? '' : `, ${rejected} lines left out`}`;
}

/** How far it is and how fast; empty before a kernel has begun. */
export function paceLines(picture: RunPicture, width: number, paint: Painter): string[] {
  const { progress, started } = picture;
  const total = progress?.total_steps ?? started?.total_steps;
  if (total === undefined) return [];
  const step = progress?.step ?? started?.step ?? 0;
  const share = total === 0 ? 1 : step / total;
  const filled = Math.round(share * BAR);
  const bar = `${paint.training('█'.repeat(filled))}${paint.dim('░'.repeat(BAR - filled))}`;
  const left = secondsLeft(picture);
  const first = [
    `  ${bar} ${String(Math.floor(share * 100)).padStart(3)} %`,
    `step ${step} of ${total}`,
    progress === null ? '' : `epoch ${progress.epoch.toFixed(2)}`,
    picture.state === 'running' && left !== null && step < total ? paint.bold(`${humanSeconds(left)} left`) : '',
  ];
  const second =
    progress === null
      ? [
          started === null ? '' : `${humanCount(started.parameters)} parameters`,
          started?.device ?? '',
          started?.precision ?? '',
        ]
      : [
          `${Math.round(progress.tokens_per_second).toLocaleString('en')} tokens/s`,
          humanBytes(progress.memory_bytes),
          progress.gradient_norm === null
            ? 'gradient is no number'
            : `gradient ${progress.gradient_norm.toPrecision(2)}`,
          `learning rate ${progress.learning_rate.toExponential(1)}`,
          picture.checkpoint === null ? '' : `checkpoint at ${picture.checkpoint}`,
        ];
  return [first, second.map((part) => paint.dim(part))].map((parts, index) =>
    joined(
      parts.map((part, at) => (index > 0 && at === 0 ? `  ${part}` : part)),
      width,
    ),
  );
}

function sampleLines({ samples }: RunPicture, width: number, paint: Painter): string[] {
  return samples.flatMap((sample) => {
    const { begins, goesOn } = sampleInWords(sample, Math.max(0, width - 14));
    return ['', `  ${paint.dim(`step ${sample.step}`.padEnd(11))}${paint.bold(begins)}${goesOn}`];
  });
}

/** A prompt and how the model went on, on one line of at most so many characters. */
export function sampleInWords(
  { prompt_text, text, ended }: RunPicture['samples'][number],
  width: number,
): { readonly begins: string; readonly goesOn: string } {
  const begins = cutFront(oneLine(prompt_text), Math.floor(width * PROMPT_SHARE));
  return { begins, goesOn: cut(`${oneLine(text)}${ended ? ' ∎' : ' …'}`, width - begins.length) };
}

/** As many of the parts, from the first on, as fit. */
function joined(parts: readonly string[], width: number): string {
  const [first = '', ...rest] = parts.filter((part) => stripVTControlCharacters(part) !== '');
  let line = first;
  for (const part of rest) {
    const longer = `${line}   ${part}`;
    if (widthOf(longer) > width) break;
    line = longer;
  }
  return line;
}

function widthOf(painted: string): number {
  return stripVTControlCharacters(painted).length;
}

/** What a model wrote, on one line and harmless. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what a model writes must not steer the terminal
  return text.replaceAll(/\s*\n\s*/g, ' ⏎ ').replaceAll(/[\x00-\x1f\x7f-\x9f]/g, ' ');
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}

function cutFront(text: string, width: number): string {
  return text.length <= width ? text : `…${text.slice(text.length - Math.max(0, width - 1))}`;
}

function loss(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(3);
}
