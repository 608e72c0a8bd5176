/**
 * Answers every line of a file: several at once, written in the order of the lines, each exactly once, gone on with where a killed process
 * stopped. The core of the batch command and of batch jobs; knows nothing of how an answer is found.
 */
import { AnswersFile } from './answers-file.ts';
import { type Line, readLines } from './read-lines.ts';

export interface LineAnswer {
  /** Without a line feed. */
  readonly text: string;
  readonly isFailure: boolean;
  /** That were generated for it. */
  readonly tokens: number;
}

export interface LineCounts {
  readonly done: number;
  readonly failed: number;
  /** Since this start. */
  readonly tokens: number;
}

export interface LineWork {
  readonly input: string;
  readonly answers: string;
  readonly mostLineBytes: number;
  readonly atOnce: number;
  /** Whether an answer that is there already is a failure; undefined when it is none. */
  readonly recall: (text: string) => boolean | undefined;
  /** What it rejects with ends the work. */
  readonly answer: (line: Line, signal: AbortSignal) => Promise<LineAnswer>;
  /** Whenever more has reached the disk, and once at the start. */
  readonly onProgress: (counts: LineCounts) => void;
  readonly signal: AbortSignal;
}

/** Answers that are there before an earlier one may hold so much. */
const AHEAD_PER_LINE = 16;
const AHEAD_BYTES = 32 * 2 ** 20;

/** Rejects with what `answer` rejected with first, AppError disk_full, or the signal's reason; what was answered in order until then is kept. */
export async function answerLines(work: LineWork): Promise<LineCounts> {
  let done = 0;
  let failed = 0;
  const file = await AnswersFile.open(work.answers, (text) => {
    const isFailure = work.recall(text);
    if (isFailure === undefined) return false;
    done++;
    if (isFailure) failed++;
    return true;
  });
  try {
    return await new LineRun(work, file, { done, failed, tokens: 0 }).run();
  } finally {
    await file.close();
  }
}

class LineRun {
  readonly #work: LineWork;
  readonly #file: AnswersFile;
  readonly #lines: AsyncGenerator<Line>;
  readonly #stop = new AbortController();
  /** By index, until those before them are there. */
  readonly #waiting = new Map<number, LineAnswer>();
  #waitingBytes = 0;
  #counts: LineCounts;
  #flushing: Promise<void> = Promise.resolve();
  #isFlushing = false;
  #roomier = Promise.withResolvers<void>();

  constructor(work: LineWork, file: AnswersFile, counts: LineCounts) {
    this.#work = work;
    this.#file = file;
    this.#counts = counts;
    this.#lines = readLines(work.input, { mostBytes: work.mostLineBytes, from: counts.done });
  }

  async run(): Promise<LineCounts> {
    const { signal, atOnce, onProgress } = this.#work;
    const stop = () => this.#stop.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    // Those who wait for room look again.
    this.#stop.signal.addEventListener('abort', () => this.#roomier.resolve(), { once: true });
    if (signal.aborted) stop();
    onProgress(this.#counts);
    const answering = Array.from({ length: atOnce }, () => this.#answerNext());
    try {
      await Promise.all(answering);
      await this.#flushing;
    } catch (error) {
      this.#stop.abort(error);
    }
    await Promise.allSettled([...answering, this.#flushing]);
    signal.removeEventListener('abort', stop);
    await this.#lines.return(undefined);
    // The first reason, whatever those who were stopped by it have rejected with.
    this.#stop.signal.throwIfAborted();
    return this.#counts;
  }

  async #answerNext(): Promise<void> {
    for (;;) {
      this.#stop.signal.throwIfAborted();
      const next = await this.#lines.next();
      if (next.done) return;
      const line = next.value;
      while (this.#isFarAhead(line.index)) {
        await this.#roomier.promise;
        this.#stop.signal.throwIfAborted();
      }
      const answer = await this.#work.answer(line, this.#stop.signal);
      this.#waiting.set(line.index, answer);
      this.#waitingBytes += answer.text.length;
      this.#flush();
    }
  }

  /** The line that all wait for is never. */
  #isFarAhead(index: number): boolean {
    const ahead = index - this.#counts.done;
    return ahead > 0 && (ahead >= this.#work.atOnce * AHEAD_PER_LINE || this.#waitingBytes > AHEAD_BYTES);
  }

  #flush(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    this.#flushing = this.#writeInOrder();
    // Who awaits it is told as well; until then nobody may be there to hear it.
    this.#flushing.catch((error) => this.#stop.abort(error));
  }

  /** Several at a time: while one write waits for the disk, more are answered. */
  async #writeInOrder(): Promise<void> {
    try {
      for (let ready = this.#takeInOrder(); ready.length > 0; ready = this.#takeInOrder()) {
        await this.#file.append(ready.map(({ text }) => text));
        this.#count(ready);
        this.#roomier.resolve();
        this.#roomier = Promise.withResolvers();
        this.#work.onProgress(this.#counts);
      }
    } finally {
      // In the same step as the last look, so that no answer comes between.
      this.#isFlushing = false;
    }
  }

  #count(written: readonly LineAnswer[]): void {
    const { done, failed, tokens } = this.#counts;
    this.#counts = {
      done: done + written.length,
      failed: failed + written.filter(({ isFailure }) => isFailure).length,
      tokens: tokens + written.reduce((sum, answer) => sum + answer.tokens, 0),
    };
    for (const { text } of written) this.#waitingBytes -= text.length;
  }

  #takeInOrder(): LineAnswer[] {
    const ready: LineAnswer[] = [];
    for (let index = this.#counts.done; ; index++) {
      const answer = this.#waiting.get(index);
      if (answer === undefined) return ready;
      this.#waiting.delete(index);
      ready.push(answer);
    }
  }
}
