/**
 * Curves as text: each character is two dots wide and four high. Pure: points in, lines out.
 */

export interface Series {
  readonly points: readonly { readonly step: number; readonly loss: number }[];
  /** Put around a character of this curve. */
  readonly paint: (text: string) => string;
}

/** Bits of a braille character, by row and column of its dots. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;
const BRAILLE = 0x2800;
/** Between two labels of the axis. */
const LABEL_EVERY = 4;

/** `width`, `height`: characters in all, axes included. `lastStep`: where the axis ends. Later series lie over earlier ones. */
export function brailleChart(series: readonly Series[], width: number, height: number, lastStep: number): string[] {
  const losses = series.flatMap(({ points }) => points.map(({ loss }) => loss)).filter(Number.isFinite);
  const rows = height - 2;
  const highest = Math.max(...losses);
  const lowest = Math.min(...losses);
  if (losses.length === 0 || rows < 2) return [];
  const span = highest - lowest || Math.abs(highest) || 1;
  const labels = Array.from({ length: rows }, (_, row) =>
    row % LABEL_EVERY === 0 || row === rows - 1 ? labelOf(highest - (span * row) / (rows - 1)) : '',
  );
  const margin = Math.max(...labels.map(({ length }) => length)) + 1;
  const columns = Math.max(2, width - margin - 2);
  const cells = series.map(() => new Uint8Array(columns * rows));
  const painted: ((text: string) => string)[] = [];
  for (const [index, { points, paint }] of series.entries()) {
    painted.push(paint);
    const dots = points.map(({ step, loss }) => ({
      x: Math.round((Math.min(step, lastStep) / Math.max(1, lastStep)) * (columns * 2 - 1)),
      y: Math.round(((highest - loss) / span) * (rows * 4 - 1)),
    }));
    for (const [at, to] of dots.entries()) drawLine(dots[at - 1] ?? to, to, cells[index], columns);
  }
  const body = labels.map((label, row) => {
    const axis = label === '' ? '│' : '┤';
    const line = Array.from({ length: columns }, (_, column) => cellOf(cells, painted, row * columns + column)).join(
      '',
    );
    return `${label.padStart(margin)} ${axis}${line}`;
  });
  const last = String(lastStep);
  return [
    ...body,
    `${' '.repeat(margin + 1)}└${'─'.repeat(columns)}`,
    `${' '.repeat(margin + 2)}0${last.padStart(columns - 1)}`,
  ];
}

function cellOf(cells: readonly Uint8Array[], paints: readonly ((text: string) => string)[], at: number): string {
  let dots = 0;
  let paint: ((text: string) => string) | undefined;
  for (const [index, cell] of cells.entries()) {
    if (cell[at] === 0) continue;
    dots |= cell[at] ?? 0;
    paint = paints[index];
  }
  return paint === undefined ? ' ' : paint(String.fromCharCode(BRAILLE + dots));
}

interface Dot {
  readonly x: number;
  readonly y: number;
}

function drawLine(from: Dot, to: Dot, cells: Uint8Array | undefined, columns: number): void {
  const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
  for (let step = 0; step <= steps; step++) {
    const x = Math.round(from.x + ((to.x - from.x) * step) / steps);
    const y = Math.round(from.y + ((to.y - from.y) * step) / steps);
    const at = (y >> 2) * columns + (x >> 1);
    if (cells !== undefined && at < cells.length) cells[at] = (cells[at] ?? 0) | (DOTS[y & 3]?.[x & 1] ?? 0);
  }
}

function labelOf(loss: number): string {
  return loss.toFixed(Math.abs(loss) < 10 ? 2 : 1);
}
