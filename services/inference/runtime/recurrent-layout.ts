/**
 * A recurrent graph: what a sequence leaves behind is one state of fixed size, however long it is. A state is never changed once made,
 * so a slot is copied by sharing it. Owns the states and the bindings; knows nothing of sequences, sampling or text.
 */
import path from 'node:path';
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import { type Layout, TerminatedError } from './layout.ts';
import { type OrtBinding, OrtSession, OrtTensor, runtimeVersion } from './ort.ts';
import type { GraphOptions } from './shared-cache-layout.ts';

/** Longer prompts run in pieces: an end that is asked for is seen between two of them. */
const PIECE = 64;

/** Pieces up to this long run on this thread: handing one to another costs more than they block. */
const SHORT_PIECE = 16;

/** At least this many elements, so that V8 never moves the memory (see ort.ts). */
const STABLE = 64;

export function openRecurrentLayout(options: GraphOptions): Layout {
  const layout = new RecurrentLayout(options);
  layout.probe();
  return layout;
}

/** What a sequence's first `length` tokens leave behind: [hidden, cell][layers][state size]. */
interface State {
  readonly length: number;
  readonly values: Float32Array;
}

class RecurrentLayout implements Layout {
  readonly kind = 'recurrent';
  readonly onlyForward = true;
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly runtime: string;
  readonly #graph: GraphSpec;
  readonly #session: OrtSession;
  readonly #empty: State;
  /** Of each slot the newest state and the one its last run began with: what a run computed for nobody is undone by going on from there. */
  readonly #states: (readonly State[])[];
  readonly #steps = new Map<number, Run>();
  /** Of all decode steps: [slots, vocabulary]. */
  readonly #stepLogits: Float32Array;
  /** Whether rows that run together get, bit for bit, what each gets alone. */
  #rowsAreIndependent = true;

  constructor(options: GraphOptions) {
    const { graph, slots } = options;
    this.#graph = graph;
    this.vocabularySize = graph.vocab_size;
    this.contextLength = Math.min(options.contextLength, graph.context_length);
    this.slots = slots;
    this.threads = options.threads;
    this.#session = new OrtSession(path.join(options.folder, graph.path), options.threads);
    this.runtime = `onnxruntime ${runtimeVersion()}`;
    this.#empty = { length: 0, values: new Float32Array(2 * graph.layers * graph.head_dim) };
    this.#states = Array.from({ length: slots }, () => []);
    this.#stepLogits = new Float32Array(slots * this.vocabularySize);
  }

  async prefill(
    slot: number,
    tokens: readonly number[],
    start: number,
    logits: 'last' | 'none' | 'all',
  ): Promise<Float32Array> {
    const before = this.#stateAt(slot, start);
    this.#requireRoom(start, tokens.length);
    const all = new Float32Array(logits === 'all' ? tokens.length * this.vocabularySize : 0);
    let state = before;
    let rows: Float32Array = all;
    for (let done = 0; done < tokens.length; done += PIECE) {
      // Asked for between two pieces, an end would be forgotten by the next.
      if (done > 0 && this.#session.terminated) throw new TerminatedError('the prefill was ended');
      const piece = tokens.slice(done, done + PIECE);
      const run = new Run(this.#session.binding(), this.#graph, 1, piece.length);
      try {
        run.set(piece, [state.values]);
        if (piece.length <= SHORT_PIECE) this.#session.run(run.binding);
        else await this.#session.runAsync(run.binding);
      } finally {
        run.binding.release();
      }
      state = { length: state.length + piece.length, values: run.stateOf(0) };
      rows = run.logits;
      if (logits === 'all') all.set(rows, done * this.vocabularySize);
    }
    this.#states[slot] = [state, before];
    return logits === 'all' ? all : rows.subarray(rows.length - (logits === 'last' ? this.vocabularySize : 0));
  }

  async decode(tokens: readonly number[], lengths: readonly number[]): Promise<Float32Array> {
    const before = lengths.map((length, slot) => this.#stateAt(slot, length));
    for (const length of lengths) this.#requireRoom(length, 1);
    const after = this.#step(tokens, before, this.#rowsAreIndependent ? tokens.length : 1);
    for (const [slot, state] of before.entries()) this.#states[slot] = [...after.slice(slot, slot + 1), state];
    return this.#stepLogits.subarray(0, tokens.length * this.vocabularySize);
  }

  copySlot(from: number, to: number, length: number): void {
    this.#states[to] = length === 0 ? [] : [this.#stateAt(from, length)];
  }

  terminate(): void {
    this.#session.terminate();
  }

  async close(): Promise<void> {
    for (const { binding } of this.#steps.values()) binding.release();
    this.#session.close();
  }

  /**
   * Kernels may sum a row in another order among others than alone, which a processor's kernels decide: every number of rows that can
   * run together is tried once, on states of no special values. Where one differs, rows are decoded one by one.
   */
  probe(): void {
    const states = Array.from({ length: this.slots }, (_, slot): State => {
      const values = this.#empty.values.map((_, index) => Math.sin(1 + index * 0.7 + slot * 1.3));
      return { length: 1, values };
    });
    const rowsOf = (count: number, atOnce: number) => {
      const own = states.slice(0, count);
      const tokens = own.map((_, slot) => slot % this.vocabularySize);
      const after = this.#step(tokens, own, atOnce);
      const size = this.vocabularySize;
      return after.map(({ values }, row) => [...values, ...this.#stepLogits.subarray(row * size, (row + 1) * size)]);
    };
    const alone = rowsOf(this.slots, 1);
    for (let count = 2; count <= this.slots && this.#rowsAreIndependent; count++) {
      const together = rowsOf(count, count);
      this.#rowsAreIndependent = together.every((row, slot) =>
        row.every((value, index) => value === alone[slot]?.[index]),
      );
    }
  }

  /** One token for each state, `atOnce` of them in a run; logits to the start of the steps' own. Gives the states after it. */
  #step(tokens: readonly number[], states: readonly State[], atOnce: number): State[] {
    const step = this.#steps.get(atOnce) ?? new Run(this.#session.binding(), this.#graph, atOnce, 1);
    this.#steps.set(atOnce, step);
    const after: State[] = [];
    for (let first = 0; first < tokens.length; first += atOnce) {
      const own = states.slice(first, first + atOnce);
      step.set(
        tokens.slice(first, first + atOnce),
        own.map(({ values }) => values),
      );
      this.#session.run(step.binding);
      this.#stepLogits.set(step.logits, first * this.vocabularySize);
      after.push(...own.map(({ length }, row) => ({ length: length + 1, values: step.stateOf(row) })));
    }
    return after;
  }

  #stateAt(slot: number, length: number): State {
    const states = this.#states[slot];
    if (!states) throw new RangeError(`there is no slot ${slot}`);
    const state = length === 0 ? this.#empty : states.find((one) => one.length === length);
    if (state) return state;
    throw new RangeError(
      `slot ${slot} cannot go on from position ${length}: it holds the state after ${states[0]?.length ?? 0} tokens`,
    );
  }

  #requireRoom(start: number, length: number): void {
    if (length > 0 && start + length <= this.contextLength) return;
    throw new RangeError(`${length} tokens at ${start} do not fit a context of ${this.contextLength}`);
  }
}

/** The tensors of a run of `rows` sequences, `count` tokens each: bound once, only their contents change. */
class Run {
  readonly binding: OrtBinding;
  /** [rows, count, vocabulary] */
  readonly logits: Float32Array;
  readonly #ids: BigInt64Array;
  /** Hidden and cell states, [layers, rows, state size] each. */
  readonly #past: readonly Float32Array[];
  readonly #present: readonly Float32Array[];
  readonly #rows: number;
  readonly #layers: number;
  readonly #size: number;

  constructor(binding: OrtBinding, graph: GraphSpec, rows: number, count: number) {
    this.binding = binding;
    this.#rows = rows;
    this.#layers = graph.layers;
    this.#size = graph.head_dim;
    const shape = [graph.layers, rows, graph.head_dim];
    const states = () => [0, 1].map(() => new Float32Array(Math.max(graph.layers * rows * graph.head_dim, STABLE)));
    this.#past = states();
    this.#present = states();
    this.#ids = new BigInt64Array(Math.max(rows * count, STABLE));
    const logits = new Float32Array(Math.max(rows * count * graph.vocab_size, STABLE));
    this.logits = logits.subarray(0, rows * count * graph.vocab_size);
    binding.input('input_ids', new OrtTensor(this.#ids, [rows, count]));
    binding.output('logits', new OrtTensor(logits, [rows, count, graph.vocab_size]));
    for (const [part, name] of ['hidden', 'cell'].entries()) {
      const [past, present] = [this.#past[part], this.#present[part]];
      if (!past || !present) throw new RangeError(`the state has no ${name}`);
      binding.input(`past_${name}`, new OrtTensor(past, shape));
      binding.output(`present_${name}`, new OrtTensor(present, shape));
    }
  }

  /** `tokens` of all rows, one row after the other; the state each row begins with. */
  set(tokens: readonly number[], states: readonly Float32Array[]): void {
    for (const [index, token] of tokens.entries()) this.#ids[index] = BigInt(token);
    for (const [row, values] of states.entries()) {
      this.#eachLayer(this.#past, row, (past, at, from) => past.set(values.subarray(from, from + this.#size), at));
    }
  }

  /** A copy of what a row ends with. */
  stateOf(row: number): Float32Array {
    const values = new Float32Array(2 * this.#layers * this.#size);
    this.#eachLayer(this.#present, row, (present, from, at) => {
      values.set(present.subarray(from, from + this.#size), at);
    });
    return values;
  }

  /** Where a row's part of a layer begins among those of all rows, and in a state of its own. */
  #eachLayer(
    parts: readonly Float32Array[],
    row: number,
    visit: (data: Float32Array, inAll: number, inOwn: number) => void,
  ): void {
    for (const [part, data] of parts.entries()) {
      for (let layer = 0; layer < this.#layers; layer++) {
        visit(data, (layer * this.#rows + row) * this.#size, (part * this.#layers + layer) * this.#size);
      }
    }
  }
}
