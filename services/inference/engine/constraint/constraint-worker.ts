/**
 * One thread that follows grammars, as the engine sees it: what it was asked, in order, and how long each answer may take. A thread that
 * takes too long or breaks is ended; to blame is the text whose question it was at. Knows no sequence.
 */
import { Worker } from 'node:worker_threads';
import type { TokenTable } from './token-table.ts';
import { type FromWorker, KEPT_GRAMMARS, type TextGrammar, type ToWorker, type WorkerData } from './worker-protocol.ts';

/** Beyond the one a thread gets no new text, beyond the other it breaks. A few dozen usual grammars take 30 MiB. */
const FULL_HEAP_BYTES = 96 * 2 ** 20;
const MOST_HEAP_BYTES = 192 * 2 ** 20;

/** Milliseconds of a processor to load the library and the vocabulary. */
const START_LIMIT = 30_000;

/** Milliseconds by the clock that any question may take. */
const PATIENCE = 20_000;

export type Question = Exclude<ToWorker, { readonly type: 'close' }>;
export type Answer = Exclude<FromWorker, { readonly type: 'ready' | 'broken' }>;

interface Asked {
  /** Undefined: the start. */
  readonly question: Question | undefined;
  /** Milliseconds of a processor that it may take. */
  readonly limit: number;
  readonly answered: (answer: Answer, milliseconds: number) => void;
}

export interface Death {
  /** What it was at; undefined when it was at its start, or idle. */
  readonly question: Question | undefined;
  readonly kind: 'late' | 'broken';
  readonly reason: string;
}

export class ConstraintWorker {
  readonly #thread: Worker;
  readonly #onDeath: (death: Death) => void;
  readonly #asked: Asked[] = [];
  readonly #texts = new Set<number>();
  /** The newest grammars, which it has compiled. */
  readonly #grammars = new Set<string>();
  #opened = 0;
  #heapBytes = 0;
  /** Milliseconds of a processor that it had taken when it came to the question it is at, and the time then. */
  #spent = 0;
  #headSince = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(tokens: TokenTable, onDeath: (death: Death) => void) {
    const workerData: WorkerData = { tokens, mostHeapBytes: MOST_HEAP_BYTES };
    this.#onDeath = onDeath;
    this.#thread = new Worker(new URL('./worker-main.ts', import.meta.url), { workerData, execArgv: [] });
    this.#thread.on('message', (message: FromWorker) => this.#receive(message));
    this.#thread.on('error', (error) => this.#die('broken', error instanceof Error ? error.message : String(error)));
    this.#thread.on('exit', () => this.#die('broken', 'its thread ended'));
    this.#push({ question: undefined, limit: START_LIMIT, answered: () => {} });
  }

  /** How many texts are open in it. */
  get load(): number {
    return this.#texts.size;
  }

  /** Whether it should get no more texts. */
  get isFull(): boolean {
    return this.#heapBytes > FULL_HEAP_BYTES;
  }

  /** Whether it has had but one text so far. */
  get isFresh(): boolean {
    return this.#opened === 1;
  }

  knows({ ebnf }: TextGrammar): boolean {
    return this.#grammars.has(ebnf);
  }

  ask(question: Question, limit: number, answered: Asked['answered']): void {
    if (question.type === 'open') {
      this.#texts.add(question.id);
      this.#opened++;
      this.#grammars.delete(question.grammar.ebnf);
      this.#grammars.add(question.grammar.ebnf);
      for (const oldest of [...this.#grammars].slice(0, -KEPT_GRAMMARS)) this.#grammars.delete(oldest);
    }
    this.#thread.postMessage(question satisfies ToWorker);
    this.#push({ question, limit, answered });
  }

  closeText(id: number): void {
    if (this.#texts.delete(id)) this.#thread.postMessage({ type: 'close', id } satisfies ToWorker);
  }

  /** Ends it; nothing is answered any more. */
  async end(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#thread.terminate();
  }

  #push(asked: Asked): void {
    if (this.#asked.push(asked) === 1) this.#beginHead();
  }

  #beginHead(): void {
    clearTimeout(this.#timer);
    const head = this.#asked[0];
    if (!head) {
      // Only who waits for an answer keeps the process alive.
      this.#thread.unref();
      return;
    }
    this.#thread.ref();
    this.#headSince = performance.now();
    this.#watch(head, head.limit);
  }

  /** Looks again when it could have taken too much. */
  #watch(head: Asked, milliseconds: number): void {
    this.#timer = setTimeout(async () => {
      const { user, system } = await this.#thread.cpuUsage();
      if (this.#isOver || this.#asked[0] !== head) return;
      const left = head.limit - ((user + system) / 1000 - this.#spent);
      if (left <= 0 || performance.now() - this.#headSince > PATIENCE) this.#die('late', 'it took too long');
      else this.#watch(head, Math.max(left, 50));
    }, milliseconds);
  }

  #receive(message: FromWorker): void {
    if (this.#isOver) return;
    if (message.type === 'broken') {
      this.#die('broken', message.reason);
      return;
    }
    if (message.type === 'opened') this.#heapBytes = message.heapBytes;
    const milliseconds = message.spent - this.#spent;
    this.#spent = message.spent;
    const head = this.#asked.shift();
    this.#beginHead();
    if (message.type !== 'ready') head?.answered(message, milliseconds);
  }

  #die(kind: Death['kind'], reason: string): void {
    if (this.#isOver) return;
    const question = this.#asked[0]?.question;
    void this.end();
    this.#onDeath({ question, kind, reason });
  }
}
