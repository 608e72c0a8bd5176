/**
 * How far a long work is: one line on stderr that is redrawn on a terminal, one line per phase elsewhere, or, for programs, JSON lines
 * on stdout. Owns the estimate of what is left; knows nothing of the work.
 */
import { humanBytes, humanSeconds } from './human-units.ts';

const WIDTH = 24;
const REDRAW_MS = 80;
const JSON_LINE_MS = 250;
/** Before that an estimate jumps about. */
const ESTIMATE_AFTER_SECONDS = 1;

export interface ProgressDetail {
  readonly bytes?: number;
  readonly totalBytes?: number;
  readonly tensors?: number;
  readonly files?: number;
  readonly totalFiles?: number;
  readonly lines?: number;
  readonly totalLines?: number;
  readonly tokensPerSecond?: number;
  /** Why nothing happens at the moment. */
  readonly waiting?: string;
}

export interface ProgressBar {
  /** `part` is 0..1 of this phase. */
  update(phase: string, part: number, detail?: ProgressDetail): void;
  /** Takes the line away. */
  end(): void;
}

/** `json`: for a program. */
export function createProgress(json: boolean): ProgressBar {
  return json ? createProgressLines() : createProgressBar();
}

export function createProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  const pace = new Pace();
  let told = '';
  let drawnAt = 0;
  return {
    update(phase, part, detail = {}) {
      const now = performance.now();
      const isNew = pace.observe(phase, part, now);
      if (!stream.isTTY) {
        const text = `${phase} ...${detail.waiting === undefined ? '' : ` ${detail.waiting}`}`;
        if (text !== told && (isNew || detail.waiting !== undefined)) stream.write(`${text}\n`);
        told = text;
        return;
      }
      if (!isNew && detail.waiting === undefined && now - drawnAt < REDRAW_MS) return;
      drawnAt = now;
      const share = clamp(part);
      const filled = Math.round(share * WIDTH);
      const percent = String(Math.floor(share * 100)).padStart(3);
      const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${percent} %`;
      const line = `${phase.padEnd(12)} ${bar}  ${inWords(detail, pace, now)}`.trimEnd();
      stream.write(`\r\x1b[K${line.slice(0, Math.max(40, (stream.columns ?? 80) - 1))}`);
    },
    end() {
      if (stream.isTTY) stream.write('\r\x1b[K');
    },
  };
}

/** One object per line: `event` is always "progress". */
export function createProgressLines(stream: NodeJS.WriteStream = process.stdout): ProgressBar {
  const pace = new Pace();
  let writtenAt = 0;
  // `| head` has seen enough; the work itself is still wanted.
  let isClosed = false;
  stream.once('error', () => {
    isClosed = true;
  });
  return {
    update(phase, part, detail = {}) {
      if (isClosed) return;
      const now = performance.now();
      const isNew = pace.observe(phase, part, now);
      if (!isNew && detail.waiting === undefined && part < 1 && now - writtenAt < JSON_LINE_MS) return;
      writtenAt = now;
      const { totalBytes: total_bytes, totalFiles: total_files, ...others } = detail;
      const { totalLines: total_lines, tokensPerSecond: tokens_per_second, ...rest } = others;
      const seconds = pace.secondsLeft(now);
      const eta_seconds = seconds === undefined ? undefined : Math.round(seconds);
      const totals = { total_bytes, total_files, total_lines, tokens_per_second };
      const line = { event: 'progress', phase, part: clamp(part), ...rest, ...totals, eta_seconds };
      stream.write(`${JSON.stringify(line)}\n`);
    },
    end() {},
  };
}

function inWords(detail: ProgressDetail, pace: Pace, now: number): string {
  const { bytes, totalBytes, tensors, files, totalFiles, lines, totalLines, tokensPerSecond, waiting } = detail;
  const seconds = pace.secondsLeft(now);
  const partPerSecond = pace.partPerSecond(now);
  return [
    bytes === undefined ? '' : `${humanBytes(bytes)}${totalBytes === undefined ? '' : ` of ${humanBytes(totalBytes)}`}`,
    partPerSecond === undefined || totalBytes === undefined ? '' : `${humanBytes(partPerSecond * totalBytes)}/s`,
    tensors === undefined ? '' : `${tensors} tensors`,
    files === undefined ? '' : `${files} of ${totalFiles} files`,
    lines === undefined ? '' : `${lines} of ${totalLines} lines`,
    tokensPerSecond === undefined ? '' : `${tokensPerSecond} tokens/s`,
    waiting ?? (seconds === undefined ? '' : `${humanSeconds(seconds)} left`),
  ]
    .filter((part) => part !== '')
    .join('  ');
}

/** What of a phase has been done since it began to be looked at: what was there before took no time. */
class Pace {
  #phase = '';
  #startedAt = 0;
  #first = 0;
  #part = 0;

  /** True when a new phase has begun. */
  observe(phase: string, part: number, now: number): boolean {
    const isNew = phase !== this.#phase;
    if (isNew) {
      this.#phase = phase;
      this.#startedAt = now;
      this.#first = part;
    }
    this.#part = part;
    return isNew;
  }

  partPerSecond(now: number): number | undefined {
    const elapsed = (now - this.#startedAt) / 1000;
    const done = this.#part - this.#first;
    return elapsed < ESTIMATE_AFTER_SECONDS || done <= 0 ? undefined : done / elapsed;
  }

  secondsLeft(now: number): number | undefined {
    const pace = this.partPerSecond(now);
    return pace === undefined ? undefined : (1 - this.#part) / pace;
  }
}

function clamp(part: number): number {
  return Math.min(1, Math.max(0, part));
}
