/**
 * An inspection as text for a terminal, up to its width; in colour where there is any, and as readable without. Pure but for the terminal's
 * own properties.
 */
import { styleText } from 'node:util';
import { describeUnknown, type Inspection, type Lengths, type Part } from '@slipway/trainer/data';
import { humanBytes, humanCount } from '../human-units.ts';
import { textTable } from '../text-table.ts';

const BAR = 32;
const SHOWN_REASONS = 8;
/** Of an example: its beginning says what it is. */
const SHOWN_CHARACTERS = 1200;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

const TYPES: Readonly<Record<string, string>> = {
  json: 'JSON',
  jsonl: 'JSON Lines',
  csv: 'CSV',
  parquet: 'Parquet',
  text: 'plain text',
};

/** `model`: whose tokenizer the tokens are of. */
export function drawInspection(inspection: Inspection, model: string | null): string {
  const { characters, tokens, rejected, refused, unknown, shown, problems } = inspection;
  return [
    ...(inspection.files.length === 0 ? [] : [drawFiles(inspection)]),
    ...(characters ? ['', heading('Characters', `of ${counted(characters.count)}`), drawLengths(characters)] : []),
    ...(tokens
      ? [
          '',
          heading(
            'Tokens',
            `by ${model}, of ${counted(tokens.count)}; max_length ${tokens.suggestedMaxLength} would do`,
          ),
          drawLengths(tokens),
        ]
      : []),
    ...(rejected.count === 0
      ? []
      : ['', heading('Left out', `${rejected.count}; --rejected FILE lists them all`), drawReasons(rejected.reasons)]),
    ...(refused.length === 0
      ? []
      : ['', heading('Left out by the template', 'of those whose tokens were counted'), drawReasons(refused)]),
    ...(unknown === null ? [] : ['', heading('Unknown', describeUnknown(unknown))]),
    ...shown.flatMap(({ file, line, isChanged, parts }) => [
      '',
      heading(isChanged ? 'Changed copy' : 'Example', `${file}:${line}`),
      drawParts(parts),
    ]),
    ...(shown.length > 0 ? ['', legend()] : []),
    ...(problems.length === 0 ? [] : ['', ...drawProblems(problems)]),
  ]
    .join('\n')
    .trimStart();
}

/** What to do is told as a recipe has it. */
function drawProblems(problems: readonly string[]): string[] {
  const isOfRecipe = problems.some((problem) => problem.includes('data.'));
  return [
    ...problems.map((problem) => `${styled('red', 'PROBLEM')}  ${problem}`),
    ...(isOfRecipe
      ? ['         data.columns: { a: b } of a recipe is here --columns a=b, and data.mixed --mixed']
      : []),
  ];
}

function drawFiles({ files, examples, duplicates, rejected }: Inspection): string {
  const rows = files.map((file) => [
    file.file,
    `${TYPES[file.type] ?? file.type}${file.isGzipped ? ', gzip' : ''}`,
    Object.entries(file.formats)
      .map(([format, count]) => (Object.keys(file.formats).length > 1 ? `${format} ${count}` : format))
      .join(', ') || 'unknown',
    humanBytes(file.bytes),
    String(file.examples),
    String(file.duplicates),
    String(file.rejected),
  ]);
  const total = ['all', '', '', '', String(examples), String(duplicates), String(rejected.count)];
  return textTable(
    ['file', 'type', 'format', '>size', '>examples', '>duplicates', '>left out'],
    files.length > 1 ? [...rows, total] : rows,
  );
}

function drawLengths({ bars, median, p90, p99, longest }: Lengths): string {
  const most = Math.max(...bars.map(({ count }) => count));
  const last = bars.length - 1;
  const first = bars.findIndex(({ count }) => count > 0);
  const lines = textTable(
    ['>', '>', '', '>'],
    bars
      .map(({ from, to, count }, index) => [
        `  ${humanCount(from)}`,
        index === last && index > 0 ? 'and more' : `to ${humanCount(to - 1)}`,
        styled('cyan', bar(count / most).padEnd(BAR)),
        String(count),
      ])
      .slice(first),
  );
  return `${lines}\n  half have at most ${median}, 90 % ${p90}, 99 % ${p99}, the longest ${longest}`;
}

/** In eighths of a character; what is there at all is seen. */
function bar(share: number): string {
  const eighths = share === 0 ? 0 : Math.max(1, Math.round(share * BAR * 8));
  return `${'█'.repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8] ?? ''}`;
}

/** How often each was the reason, and where first. */
export function drawReasons(reasons: Inspection['rejected']['reasons']): string {
  const rows = reasons.slice(0, SHOWN_REASONS).flatMap(({ reason, count, places }) => {
    const first = places.map(({ file, line }) => `${file}:${line}`).join(', ');
    return [
      [`  ${count}`, reason],
      ['', styled('dim', `${first}${count > places.length ? ' ...' : ''}`)],
    ];
  });
  const more = reasons.length - SHOWN_REASONS;
  return textTable(['>', ''], more > 0 ? [...rows, ['', `and ${more} more reasons`]] : rows);
}

/** What is trained is green, or, without colour, stands between ⟦ and ⟧. */
function drawParts(parts: readonly Part[]): string {
  const width = Math.min(process.stdout.columns ?? 100, 120) - 4;
  let left = SHOWN_CHARACTERS;
  let column = 0;
  const drawn = parts.map(({ text, isTrained }) => {
    const wrapped = wrap(printable(text.slice(0, left)), column, width);
    left -= Math.min(left, text.length);
    column = wrapped.length - (wrapped.lastIndexOf('\n') + 1) + (wrapped.includes('\n') ? 0 : column);
    if (wrapped === '' || (isTrained && !hasColour())) return wrapped === '' ? '' : `⟦${wrapped}⟧`;
    return styled(isTrained ? 'green' : 'dim', wrapped);
  });
  return `${drawn.join('').trimEnd()}${left === 0 ? ' ...' : ''}`.replaceAll(/^/gm, '  ');
}

/** Broken at spaces where a line would be longer; `column`: where the text begins. */
function wrap(text: string, column: number, width: number): string {
  let at = column;
  return text
    .split(/(\n| +)/)
    .map((word) => {
      if (word === '\n') at = 0;
      else if (at + word.length > width && at > 0 && word.trim() !== '') {
        at = word.length;
        return `\n${word}`;
      } else at += word.length;
      return word;
    })
    .join('');
}

function legend(): string {
  return hasColour()
    ? `${styled('green', 'green')} is trained, the rest is what it is told`
    : '⟦ ⟧ is trained, the rest is what it is told';
}

/** Data must not move the cursor or change colours. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '�');
}

function heading(title: string, about: string): string {
  return `${styled('bold', title)}  ${about}`;
}

function counted(count: number): string {
  return `${count} example${count === 1 ? '' : 's'}`;
}

/** On a terminal that wants it (NO_COLOR, FORCE_COLOR). */
function styled(style: 'bold' | 'cyan' | 'dim' | 'green' | 'red', text: string): string {
  return styleText(style, text, { stream: process.stdout });
}

function hasColour(): boolean {
  return styled('green', 'x') !== 'x';
}
