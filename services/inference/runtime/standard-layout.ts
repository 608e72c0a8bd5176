/**
 * Any decoder with past_key_values in and present out. Its cache is copied by the graph at every step and each slot runs alone:
 * the layout for graphs that are not ours, where being right comes before being fast. Knows nothing of sequences.
 */
import path from 'node:path';
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import { type Layout, TerminatedError } from './layout.ts';
import { OrtSession, OrtTensor, runtimeVersion } from './ort.ts';
import type { GraphOptions } from './shared-cache-layout.ts';

/** Such graphs give the logits of every position: longer prompts run in pieces, to bound that memory. */
const PIECE = 64;

export function openStandardLayout(options: GraphOptions): Layout {
  return new StandardLayout(options);
}

/** One sequence's cache: tensors [kv_heads, length, head_dim], filled anew by each run into the other half of the pair. */
interface Slot {
  length: number;
  past: Float32Array[];
  spare: Float32Array[];
}

class StandardLayout implements Layout {
  readonly kind = 'standard';
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly runtime: string;
  readonly #graph: GraphSpec;
  readonly #session: OrtSession;
  readonly #takesPositions: boolean;
  readonly #cacheNames: string[];
  readonly #slots: Slot[];

  constructor(options: GraphOptions) {
    const { graph } = options;
    this.#graph = graph;
    this.vocabularySize = graph.vocab_size;
    this.contextLength = Math.min(options.contextLength, graph.context_length);
    this.slots = options.slots;
    this.threads = options.threads;
    this.#session = new OrtSession(path.join(options.folder, graph.path), options.threads);
    this.runtime = `onnxruntime ${runtimeVersion()}`;
    this.#takesPositions = this.#session.inputNames().includes('position_ids');
    this.#cacheNames = Array.from({ length: graph.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
    const buffers = () =>
      this.#cacheNames.map(() => new Float32Array(graph.kv_heads * this.contextLength * graph.head_dim));
    this.#slots = Array.from({ length: options.slots }, () => ({ length: 0, past: buffers(), spare: buffers() }));
  }

  async prefill(
    slot: number,
    tokens: readonly number[],
    start: number,
    logits: 'last' | 'none' | 'all',
  ): Promise<Float32Array> {
    const vocabulary = this.vocabularySize;
    if (tokens.length === 0 || start + tokens.length > this.contextLength) {
      throw new RangeError(
        `prefill of ${tokens.length} tokens at ${start} does not fit a context of ${this.contextLength}`,
      );
    }
    this.#truncate(this.#slot(slot), start);
    const all = new Float32Array(logits === 'all' ? tokens.length * vocabulary : 0);
    let last: Float32Array = all;
    for (let done = 0; done < tokens.length; done += PIECE) {
      // Asked for between two pieces, an end would be forgotten by the next.
      if (done > 0 && this.#session.terminated) throw new TerminatedError('the prefill was ended');
      const rows = await this.#run(slot, tokens.slice(done, done + PIECE));
      if (logits === 'all') all.set(rows, done * vocabulary);
      last = rows.subarray(rows.length - vocabulary);
    }
    return logits === 'all' ? all : last;
  }

  async decode(tokens: readonly number[], lengths: readonly number[]): Promise<Float32Array> {
    const rows = new Float32Array(tokens.length * this.vocabularySize);
    for (const [slot, token] of tokens.entries()) {
      this.#truncate(this.#slot(slot), lengths[slot] ?? 0);
      rows.set(await this.#run(slot, [token]), slot * this.vocabularySize);
    }
    return rows;
  }

  copySlot(from: number, to: number, length: number): void {
    const [source, target] = [this.#slot(from), this.#slot(to)];
    for (const [index, data] of source.past.entries()) target.past[index]?.set(data);
    target.length = source.length;
    this.#truncate(target, length);
  }

  terminate(): void {
    this.#session.terminate();
  }

  async close(): Promise<void> {
    this.#session.close();
  }

  #slot(index: number): Slot {
    const slot = this.#slots[index];
    if (!slot) throw new RangeError(`there is no slot ${index}`);
    return slot;
  }

  /** Cuts a cache to its first `length` positions: every head's rows move together. */
  #truncate(slot: Slot, length: number): void {
    const { kv_heads, head_dim } = this.#graph;
    if (length > slot.length) throw new RangeError(`position ${length} lies beyond the ${slot.length} that are filled`);
    if (length === slot.length) return;
    for (const data of slot.past) {
      for (let head = 0; head < kv_heads; head++) {
        const source = head * slot.length * head_dim;
        data.copyWithin(head * length * head_dim, source, source + length * head_dim);
      }
    }
    slot.length = length;
  }

  /** Appends tokens to a slot and gives the logits of each. */
  async #run(index: number, tokens: readonly number[]): Promise<Float32Array> {
    const slot = this.#slot(index);
    const { kv_heads, head_dim } = this.#graph;
    const [count, total] = [tokens.length, slot.length + tokens.length];
    const binding = this.#session.binding();
    const int64 = (values: (position: number) => number, length: number) => {
      const data = new BigInt64Array(Math.max(length, 16));
      for (let i = 0; i < length; i++) data[i] = BigInt(values(i));
      return new OrtTensor(data, [1, length]);
    };
    try {
      binding.input(
        'input_ids',
        int64((i) => tokens[i] ?? 0, count),
      );
      binding.input(
        'attention_mask',
        int64(() => 1, total),
      );
      if (this.#takesPositions) {
        binding.input(
          'position_ids',
          int64((i) => slot.length + i, count),
        );
      }
      for (const [part, name] of this.#cacheNames.entries()) {
        const [past, spare] = [slot.past[part], slot.spare[part]];
        if (!past || !spare) throw new RangeError(`the cache has no ${name}`);
        binding.input(`past_key_values.${name}`, new OrtTensor(past, [1, kv_heads, slot.length, head_dim]));
        binding.output(`present.${name}`, new OrtTensor(spare, [1, kv_heads, total, head_dim]));
      }
      const logits = new Float32Array(count * this.vocabularySize);
      binding.output('logits', new OrtTensor(logits, [1, count, this.vocabularySize]));
      await this.#session.runAsync(binding);
      [slot.past, slot.spare] = [slot.spare, slot.past];
      slot.length = total;
      return logits;
    } finally {
      binding.release();
    }
  }
}
