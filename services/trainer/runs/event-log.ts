/**
 * events.jsonl: everything that happened to a run, one numbered line each, only ever added to. Whoever writes it first cuts what a killed
 * writer, or a power cut, left of lines at its end; readers see whole lines only. Knows no event but its number and time.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { z } from 'zod';

const LINE_BREAK = 10;
const PIECE = 1 << 16;

export class EventLog {
  readonly #file: number;
  #last: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a+');
    const { end, last } = readableLines(this.#file);
    if (end < fstatSync(this.#file).size) ftruncateSync(this.#file, end);
    this.#last = last;
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
        events.push(
          ...held
            .toString('utf8', 0, end)
            .split('\n')
            .map(eventIn)
            .filter((event) => event !== undefined),
        );
      }
    } finally {
      closeSync(file);
    }
  }
}

/** Undefined for what a power cut has left of a line: what is told of a run goes on behind it. */
export function eventIn(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

const Numbered = z.object({ id: z.number().int().positive() });

/** Where the last line ends that says its number, and that number; 0 where there is none. */
function readableLines(file: number): { end: number; last: number } {
  let { size: end } = fstatSync(file);
  while (end > 0) {
    const start = lineStart(file, end);
    const { data } = Numbered.safeParse(isWhole(file, end) ? eventIn(textOf(file, start, end)) : undefined);
    if (data !== undefined) return { end, last: data.id };
    end = start;
  }
  return { end, last: 0 };
}

function isWhole(file: number, end: number): boolean {
  return textOf(file, end - 1, end) === '\n';
}

function textOf(file: number, start: number, end: number): string {
  const bytes = Buffer.alloc(end - start);
  readSync(file, bytes, 0, bytes.length, start);
  return bytes.toString('utf8');
}

/** Of the line that ends there, its line break included. */
function lineStart(file: number, end: number): number {
  const piece = Buffer.alloc(PIECE);
  for (let from = end - 1; from > 0; ) {
    const length = Math.min(PIECE, from);
    readSync(file, piece, 0, length, from - length);
    const at = piece.subarray(0, length).lastIndexOf(LINE_BREAK);
    if (at !== -1) return from - length + at + 1;
    from -= length;
  }
  return 0;
}
