/**
 * Our serving graph: GroupQueryAttention over one buffer per layer that is its past and its present at once, so a step copies nothing.
 * A slot is a row range of each buffer. Owns the cache and the bindings; knows nothing of sequences, sampling or text.
 */
import path from 'node:path';
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import { type Layout, TerminatedError } from './layout.ts';
import { type OrtBinding, OrtError, OrtSession, OrtTensor, runtimeVersion } from './ort.ts';

export interface GraphOptions {
  readonly folder: string;
  readonly graph: GraphSpec;
  readonly threads: number;
  readonly slots: number;
  readonly contextLength: number;
}

/** At least this many elements, so that V8 never moves the memory (see ort.ts). */
const STABLE = 32;

export function openSharedCacheLayout(options: GraphOptions): Layout {
  return new SharedCacheLayout(options);
}

class SharedCacheLayout implements Layout {
  readonly kind = 'shared-cache';
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly runtime: string;
  readonly #graph: GraphSpec;
  readonly #session: OrtSession;
  readonly #caches: { readonly name: string; readonly data: Float32Array | Int8Array }[] = [];
  readonly #decode: (DecodeBinding | undefined)[] = [];
  readonly #prefill: (PrefillBinding | undefined)[] = [];
  /** Reused between runs; grows to the largest number of rows asked for. */
  #logits: Float32Array;

  constructor(options: GraphOptions) {
    const { graph, threads, slots } = options;
    this.#graph = graph;
    this.vocabularySize = graph.vocab_size;
    this.contextLength = Math.min(options.contextLength, graph.context_length);
    this.slots = slots;
    this.threads = threads;
    this.#session = new OrtSession(path.join(options.folder, graph.path), {
      threads,
      // Without VNNI the 8-bit products would saturate in 16 bits: the same answers on every processor come before speed on old ones.
      config: { 'session.x64quantprecision': '1' },
    });
    this.runtime = `onnxruntime ${runtimeVersion()}`;
    const elements = slots * this.#slotElements;
    for (let layer = 0; layer < graph.layers; layer++) {
      for (const part of ['key', 'value'] as const) {
        // Untouched pages of a fresh buffer cost no memory: the cache is resident only as far as it is filled.
        const data = graph.cache_dtype === 'int8' ? new Int8Array(elements) : new Float32Array(elements);
        this.#caches.push({ name: `${layer}.${part}`, data });
      }
    }
    this.#logits = new Float32Array(slots * this.vocabularySize);
  }

  get #slotElements(): number {
    return this.#graph.kv_heads * this.contextLength * this.#graph.head_dim;
  }

  async prefill(
    slot: number,
    tokens: readonly number[],
    start: number,
    logits: 'last' | 'none' | 'all',
  ): Promise<Float32Array> {
    const length = tokens.length;
    const total = start + length;
    if (length === 0 || total > this.contextLength) {
      throw new RangeError(`prefill of ${length} tokens at ${start} does not fit a context of ${this.contextLength}`);
    }
    this.#prefill[slot] ??= new PrefillBinding(this.#bind(slot, 1));
    // The logits of one row cost little, and a graph without rows is not something every kernel expects.
    const rows = logits === 'all' ? length : 1;
    const output = this.#rows(rows);
    this.#prefill[slot].set(tokens, total, rows, output, this.vocabularySize);
    try {
      await this.#session.runAsync(this.#prefill[slot].binding);
    } catch (error) {
      if (error instanceof OrtError && this.#session.terminated)
        throw new TerminatedError('the prefill was ended', { cause: error });
      throw error;
    }
    return output;
  }

  async decode(tokens: readonly number[], lengths: readonly number[]): Promise<Float32Array> {
    const rows = tokens.length;
    this.#decode[rows] ??= new DecodeBinding(this.#bind(0, rows), rows, this.vocabularySize);
    const step = this.#decode[rows];
    step.set(tokens, lengths);
    this.#session.run(step.binding);
    return step.logits;
  }

  copySlot(from: number, to: number, length: number): void {
    const { kv_heads, head_dim } = this.#graph;
    const head = this.contextLength * head_dim;
    for (const { data } of this.#caches) {
      for (let h = 0; h < kv_heads; h++) {
        const source = (from * kv_heads + h) * head;
        data.copyWithin((to * kv_heads + h) * head, source, source + length * head_dim);
      }
    }
  }

  terminate(): void {
    this.#session.terminate();
  }

  async close(): Promise<void> {
    for (const step of [...this.#decode, ...this.#prefill]) step?.binding.release();
    this.#session.close();
  }

  /** A binding whose past and present are rows first..first+count-1 of the cache. */
  #bind(first: number, count: number): OrtBinding {
    const { kv_heads, head_dim } = this.#graph;
    const binding = this.#session.binding();
    for (const { name, data } of this.#caches) {
      const rows = data.subarray(first * this.#slotElements, (first + count) * this.#slotElements);
      const tensor = new OrtTensor(rows, [count, kv_heads, this.contextLength, head_dim]);
      binding.input(`past_key_values.${name}`, tensor);
      binding.output(`present.${name}`, tensor);
    }
    return binding;
  }

  #rows(rows: number): Float32Array {
    if (this.#logits.length < rows * this.vocabularySize) this.#logits = new Float32Array(rows * this.vocabularySize);
    return this.#logits.subarray(0, rows * this.vocabularySize);
  }
}

/** One token for each of `rows` slots: every tensor is bound once and only its contents change. */
class DecodeBinding {
  readonly binding: OrtBinding;
  readonly logits: Float32Array;
  readonly #ids: BigInt64Array;
  readonly #last: Int32Array;
  readonly #total = new Int32Array(STABLE);

  constructor(binding: OrtBinding, rows: number, vocabulary: number) {
    this.binding = binding;
    const room = Math.max(rows, STABLE);
    this.#ids = new BigInt64Array(room);
    this.#last = new Int32Array(room);
    this.logits = new Float32Array(rows * vocabulary);
    const logitRows = BigInt64Array.from({ length: room }, (_, row) => BigInt(row));
    binding.input('input_ids', new OrtTensor(this.#ids, [rows, 1]));
    binding.input('seqlens_k', new OrtTensor(this.#last, [rows]));
    binding.input('total_sequence_length', new OrtTensor(this.#total, [1]));
    binding.input('logit_rows', new OrtTensor(logitRows, [rows]));
    binding.output('logits', new OrtTensor(this.logits, [rows, vocabulary]));
  }

  set(tokens: readonly number[], lengths: readonly number[]): void {
    let longest = 0;
    for (const [row, token] of tokens.entries()) {
      const length = lengths[row] ?? 0;
      this.#ids[row] = BigInt(token);
      this.#last[row] = length;
      longest = Math.max(longest, length + 1);
    }
    this.#total[0] = longest;
  }
}

/** Many tokens of one slot: the cache stays bound, the rest has a new shape each time. */
class PrefillBinding {
  readonly binding: OrtBinding;
  readonly #last = new Int32Array(STABLE);
  readonly #total = new Int32Array(STABLE);

  constructor(binding: OrtBinding) {
    this.binding = binding;
    binding.input('seqlens_k', new OrtTensor(this.#last, [1]));
    binding.input('total_sequence_length', new OrtTensor(this.#total, [1]));
  }

  set(tokens: readonly number[], total: number, rows: number, output: Float32Array, vocabulary: number): void {
    this.#last[0] = total - 1;
    this.#total[0] = total;
    const ids = new BigInt64Array(Math.max(tokens.length, STABLE));
    for (const [index, token] of tokens.entries()) ids[index] = BigInt(token);
    const logitRows = new BigInt64Array(Math.max(rows, STABLE));
    for (let row = 0; row < rows; row++) logitRows[row] = BigInt(tokens.length - rows + row);
    this.binding.input('input_ids', new OrtTensor(ids, [1, tokens.length]));
    this.binding.input('logit_rows', new OrtTensor(logitRows, [rows]));
    this.binding.output('logits', new OrtTensor(output, [rows, vocabulary]));
  }
}
