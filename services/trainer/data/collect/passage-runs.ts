/**
 * Passages of one document that follow one another on the same side, joined to runs: a tokenizer sees text as it stands in the file, not
 * cut every few kilobytes. Where a passage is held out or left out, the run before it ends without an end of text.
 */
import type { Passage } from '../canonical.ts';
import type { PassageReading } from '../readers/reading.ts';
import type { Side } from './split-side.ts';

export interface PassagePart {
  readonly side: Side;
  readonly passage: Passage;
  readonly line: number;
  /** Of its first passage. */
  readonly digest: Buffer;
}

interface Run {
  readonly line: number;
  readonly digest: Buffer;
  readonly begins: boolean;
  text: string;
  /** Number of its last passage in the document. */
  last: number;
}

/** Characters; longer runs would only take more memory. */
const LONGEST_RUN = 262_144;

export class PassageRuns {
  readonly #runs = new Map<Side, Run>();
  #number = 0;

  /** What cannot grow any more. Passages that are left out are not pushed, but their neighbours are then no neighbours. */
  push(reading: PassageReading, side: Side, digest: Buffer): PassagePart[] {
    const number = this.#number++;
    const run = this.#runs.get(side);
    if (run && run.last === number - 1 && run.text.length + reading.text.length <= LONGEST_RUN) {
      run.text += reading.text;
      run.last = number;
      return [];
    }
    const { line, text, begins } = reading;
    this.#runs.set(side, { line, digest, begins, text, last: number });
    return run ? [partOf(side, run, true)] : [];
  }

  /** A passage of the document that is on no side. */
  skip(): void {
    this.#number++;
  }

  /** The document's end on both sides. */
  end(): PassagePart[] {
    const parts = [...this.#runs].map(([side, run]) => partOf(side, run, false));
    this.#runs.clear();
    this.#number = 0;
    return parts;
  }
}

function partOf(side: Side, { text, begins, line, digest }: Run, isContinued: boolean): PassagePart {
  const passage: Passage = {
    text,
    ...(begins ? {} : { begins: false as const }),
    ...(isContinued ? { continued: true as const } : {}),
  };
  return { side, passage, line, digest };
}
