/**
 * events.jsonl: everything that happened to a run, one numbered line each, only ever added to. Whoever writes it first cuts what a killed
 * writer left of a line; readers see whole lines only. Knows no event but its number and time.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

const LINE_BREAK = 10;
const PIECE = 1 << 16;

export class EventLog {
  readonly #file: number;
  #last: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a+');
    const { end, lastLine } = wholeLines(this.#file);
    ftruncateSync(this.#file, end);
    this.#last = lastLine === '' ? 0 : Number(JSON.parse(lastLine).id);
  }

  /** A whole line, or none when the disk takes no more. */
  add(event: object): void {
    const line = { id: this.#last + 1, at: new Date().toISOString(), ...event };
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    const { size } = fstatSync(this.#file);
    try {
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#file, bytes, written);
    } catch (error) {
      ftruncateSync(this.#file, size);
      throw error;
    }
    this.#last++;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads on where it stopped. */
export class EventReader {
  readonly #path: string;
  #offset = 0;
  #rest = Buffer.alloc(0);

  constructor(path: string) {
    this.#path = path;
  }

  /** The lines that have become whole since the last call. */
  read(): unknown[] {
    const file = openSync(this.#path, 'r');
    try {
      const events: unknown[] = [];
      const piece = Buffer.alloc(PIECE);
      for (;;) {
        const length = readSync(file, piece, 0, PIECE, this.#offset);
        if (length === 0) return events;
        this.#offset += length;
        const held = Buffer.concat([this.#rest, piece.subarray(0, length)]);
        const end = held.lastIndexOf(LINE_BREAK) + 1;
        this.#rest = held.subarray(end);
        for (const line of held.toString('utf8', 0, end).split('\n')) if (line !== '') events.push(JSON.parse(line));
      }
    } finally {
      closeSync(file);
    }
  }
}

/** Where the last whole line ends, and that line. */
function wholeLines(file: number): { end: number; lastLine: string } {
  const { size } = fstatSync(file);
  let tail = Buffer.alloc(0);
  for (let start = size; start > 0; ) {
    const length = Math.min(PIECE, start);
    start -= length;
    const piece = Buffer.alloc(length);
    readSync(file, piece, 0, length, start);
    tail = Buffer.concat([piece, tail]);
    const end = tail.lastIndexOf(LINE_BREAK) + 1;
    const before = end < 2 ? -1 : tail.lastIndexOf(LINE_BREAK, end - 2);
    if (end > 0 && (before !== -1 || start === 0)) {
      return { end: start + end, lastLine: tail.toString('utf8', before + 1, end - 1) };
    }
  }
  return { end: 0, lastLine: '' };
}
