/**
 * Answers that the system has not yet taken every byte of, because their readers are slow. They cost memory, never the engine's time; how
 * much and how long is bounded here. Knows nothing of what they say.
 */
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:net';

/** A response, or a connection that is no HTTP any more. */
interface Answer {
  readonly writableLength: number;
  destroy(): unknown;
  once(event: 'close', listener: () => void): unknown;
}

/** What waits elsewhere than in the answer, and what is told when its reader is cut off. */
interface UnsentStream {
  readonly queuedBytes: () => number;
  readonly onCut: () => void;
}

export interface Patience {
  /** What all slow readers together may let wait. */
  readonly mostBytes: number;
  /** For how long one may have something waiting without a pause. */
  readonly mostMilliseconds: number;
  readonly lookEveryMilliseconds: number;
}

const PATIENCE: Patience = { mostBytes: 64 * 2 ** 20, mostMilliseconds: 60_000, lookEveryMilliseconds: 500 };

interface Unsent {
  stream: UnsentStream | undefined;
  /** Of one that is read from the disk as its reader takes it: how much of it has been, now and at the last look. */
  takenBytes: (() => number) | undefined;
  takenBefore: number;
  waitingSince: number | undefined;
}

export class UnsentAnswers {
  readonly #patience: Patience;
  readonly #answers = new Map<Answer, Unsent>();

  constructor(patience: Patience = PATIENCE) {
    this.#patience = patience;
  }

  /** Follows every answer of a server, and cuts off those whose readers are too slow. */
  watch(server: Server): void {
    // Before whoever answers.
    server.prependListener('request', (_: unknown, response: ServerResponse) => {
      this.follow(response);
    });
    const timer = setInterval(() => this.#look(performance.now()), this.#patience.lookEveryMilliseconds);
    timer.unref();
    server.once('close', () => clearInterval(timer));
  }

  /** Until it is closed. */
  follow(answer: Answer, stream?: UnsentStream): void {
    this.#answers.set(answer, { stream, takenBytes: undefined, takenBefore: 0, waitingSince: undefined });
    answer.once('close', () => this.#answers.delete(answer));
  }

  /** An answer that is a stream has a queue of its own. */
  weighStream(answer: Answer, stream: UnsentStream): void {
    const unsent = this.#answers.get(answer);
    if (unsent !== undefined) unsent.stream = stream;
  }

  /** A file may take its reader long: only who takes nothing at all is too slow. */
  weighDownload(answer: Answer, takenBytes: () => number): void {
    const unsent = this.#answers.get(answer);
    if (unsent !== undefined) unsent.takenBytes = takenBytes;
  }

  get count(): number {
    return this.#answers.size;
  }

  #look(now: number): void {
    let total = 0;
    const waiting: { answer: Answer; unsent: Unsent; bytes: number; since: number }[] = [];
    for (const [answer, unsent] of this.#answers) {
      const bytes = answer.writableLength + (unsent.stream?.queuedBytes() ?? 0);
      if (bytes === 0) {
        unsent.waitingSince = undefined;
        continue;
      }
      const taken = unsent.takenBytes?.() ?? 0;
      if (taken !== unsent.takenBefore) unsent.waitingSince = now;
      unsent.takenBefore = taken;
      unsent.waitingSince ??= now;
      const since = unsent.waitingSince;
      if (now - since > this.#patience.mostMilliseconds) cut(answer, unsent);
      else {
        waiting.push({ answer, unsent, bytes, since });
        total += bytes;
      }
    }
    if (total <= this.#patience.mostBytes) return;
    waiting.sort((a, b) => a.since - b.since);
    for (const { answer, unsent, bytes } of waiting) {
      cut(answer, unsent);
      total -= bytes;
      if (total <= this.#patience.mostBytes) return;
    }
  }
}

function cut(answer: Answer, { stream }: Unsent): void {
  stream?.onCut();
  answer.destroy();
}
