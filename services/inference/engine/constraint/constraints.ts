/**
 * The threads that follow grammars, and which of them follows which text. A grammar that none has compiled goes to one without other texts,
 * so that a slow one delays its own text alone; who was in a thread that had to be ended goes on in another. Knows no sequence.
 */
import { ConstraintWorker, type Death, type Question } from './constraint-worker.ts';
import { FormError, Guide, TIME_LIMIT } from './guide.ts';
import type { TokenTable } from './token-table.ts';
import type { TextGrammar } from './worker-protocol.ts';

/** Each takes some 50 MiB. */
const MOST_WORKERS = 3;

/** Milliseconds for which a thread beyond the first stays without a text. */
const IDLE_LIMIT = 30_000;

const TOO_SLOW = `the form takes more than ${TIME_LIMIT / 1000} s of a processor to follow; ask for a simpler one, with fewer repetitions within repetitions and lower counts`;

export class Constraints {
  readonly #tokens: TokenTable;
  #workers: ConstraintWorker[] = [];
  readonly #guides = new Map<number, Guide>();
  #opened = 0;

  constructor(tokens: TokenTable) {
    this.#tokens = tokens;
  }

  open(grammar: TextGrammar): Guide {
    const guide = new Guide(this.#opened++, grammar);
    this.#guides.set(guide.id, guide);
    guide.follow(this.#workerFor(grammar));
    return guide;
  }

  close(guide: Guide): void {
    const { worker } = guide;
    this.#guides.delete(guide.id);
    guide.close();
    if (!worker || worker.load > 0) return;
    if (worker.isFull) this.#endIdle(worker);
    else setTimeout(() => this.#workers.length > 1 && this.#endIdle(worker), IDLE_LIMIT).unref();
  }

  async end(): Promise<void> {
    const ended = this.#workers.map((worker) => worker.end());
    this.#workers = [];
    await Promise.all(ended);
  }

  #endIdle(worker: ConstraintWorker): void {
    if (worker.load > 0 || !this.#workers.includes(worker)) return;
    this.#workers = this.#workers.filter((other) => other !== worker);
    void worker.end();
  }

  #workerFor(grammar: TextGrammar): ConstraintWorker {
    const open = this.#workers.filter((worker) => !worker.isFull);
    const knowing = open.find((worker) => worker.knows(grammar)) ?? open.find((worker) => worker.load === 0);
    if (knowing) return knowing;
    if (this.#workers.length < MOST_WORKERS) return this.#start();
    const all = open.length > 0 ? open : this.#workers;
    return all.reduce((best, worker) => (worker.load < best.load ? worker : best));
  }

  #start(): ConstraintWorker {
    const worker: ConstraintWorker = new ConstraintWorker(this.#tokens, (death) => this.#onDeath(worker, death));
    this.#workers.push(worker);
    return worker;
  }

  #onDeath(worker: ConstraintWorker, { question, kind, reason }: Death): void {
    this.#workers = this.#workers.filter((other) => other !== worker);
    for (const guide of [...this.#guides.values()].filter((one) => one.worker === worker)) {
      if (!question) guide.fail(new Error(`the thread that follows forms has ended: ${reason}`));
      else if (!isToBlame(guide, question)) guide.follow(this.#workerFor(guide.grammar));
      else if (kind === 'late') guide.fail(new FormError(TOO_SLOW));
      // It may have been the others' memory that was missing.
      else if (!worker.isFresh) guide.follow(this.#start());
      else guide.fail(new FormError(`the form cannot be followed: ${reason}`));
    }
  }
}

/** A grammar that cannot be compiled cannot be for any other text either. */
function isToBlame(guide: Guide, question: Question): boolean {
  return question.type === 'open' ? guide.grammar.ebnf === question.grammar.ebnf : guide.id === question.id;
}
