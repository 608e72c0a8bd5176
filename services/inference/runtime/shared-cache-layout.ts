/**
 * Our serving graph: GroupQueryAttention over one buffer per layer that is its past and its present at once, so a step copies nothing.
 * A slot is a row range of each buffer; an int8 cache has a float32 scratch beside it in which prompts are computed.
 * Owns the cache and the bindings; knows nothing of sequences, sampling or text.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { GraphSpec } from '@slipway/shared/contracts/manifest.ts';
import type { Layout } from './layout.ts';
import { type OrtBinding, OrtSession, OrtTensor, runtimeVersion, type TensorData } from './ort.ts';
import { readProcessor, wantsUnsignedWeights } from './processor.ts';
import { ChunkBinding, StepBinding } from './run-bindings.ts';
import { type CachePair, ScratchCache } from './scratch-cache.ts';

export interface GraphSource {
  /** Where the version's files lie. */
  readonly folder: string;
  readonly graph: GraphSpec;
}

export interface GraphOptions extends GraphSource {
  readonly threads: number;
  readonly slots: number;
  readonly contextLength: number;
}

/** Chunks up to this long run on this thread: handing one to another costs more than they block. */
const SHORT_CHUNK = 16;

/** Rows that kernels compute together. */
const TILE_ROWS = 32;

export function openSharedCacheLayout(options: GraphOptions): Layout {
  const layout = new SharedCacheLayout(options);
  layout.probe();
  return layout;
}

/**
 * How large the channels of a float cache become over the passages, [kv_heads * head_dim] for each layer's keys and values in turn: for
 * choosing an int8 cache's steps. Rotary positions turn pairs of key channels into one another, so a key channel is given its pair's length.
 */
export async function measureCache(
  options: GraphOptions,
  passages: readonly (readonly number[])[],
  isRotary: boolean,
): Promise<Float32Array[]> {
  const layout = new SharedCacheLayout(options);
  try {
    let largest: Float32Array[] = [];
    for (const passage of passages) {
      await layout.prefill(0, passage, 0, 'none');
      const own = layout.largestCached(0, passage.length, isRotary);
      largest = own.map((channels, cache) =>
        channels.map((value, channel) => Math.max(value, largest[cache]?.[channel] ?? 0)),
      );
    }
    return largest;
  } finally {
    await layout.close();
  }
}

class SharedCacheLayout implements Layout {
  readonly kind = 'shared-cache';
  readonly vocabularySize: number;
  readonly contextLength: number;
  readonly slots: number;
  readonly threads: number;
  readonly runtime: string;
  readonly verify?: (tokens: readonly number[], start: number) => Promise<Float32Array>;
  readonly #graph: GraphSpec;
  readonly #session: OrtSession;
  /** [1 + slots, kv_heads, contextLength, head_dim] each. Row 0 is nobody's: see `probe`. */
  readonly #caches: (Float32Array | Int8Array)[];
  readonly #scratch: { readonly cache: ScratchCache; readonly buffers: Float32Array[] } | null;
  readonly #steps = new Map<string, StepBinding>();
  readonly #chunks = new Map<string, ChunkBinding>();
  /** Of all decode steps: [1 + slots, vocabulary]. */
  readonly #stepLogits: Float32Array;
  /** Reused between chunks; grows to the largest number of rows asked for. */
  #logits = new Float32Array(0);
  /** Whether this processor's kernels round a lone row differently. */
  #loneRowDiffers = false;

  constructor(options: GraphOptions) {
    const { graph, threads, slots } = options;
    this.#graph = graph;
    this.vocabularySize = graph.vocab_size;
    this.contextLength = Math.min(options.contextLength, graph.context_length);
    this.slots = slots;
    this.threads = threads;
    const file = graph.uint8_path !== null && wantsUnsignedWeights(readProcessor()) ? graph.uint8_path : graph.path;
    this.#session = new OrtSession(path.join(options.folder, file), threads);
    this.runtime = `onnxruntime ${runtimeVersion()}`;
    this.#stepLogits = new Float32Array((slots + 1) * this.vocabularySize);
    // Untouched pages of a fresh buffer cost no memory: the cache is resident only as far as it is filled.
    const elements = (slots + 1) * this.#slotElements;
    const buffers = <T>(make: () => T) => Array.from({ length: 2 * graph.layers }, make);
    if (graph.cache_scales === null) {
      this.#caches = buffers(() => new Float32Array(elements));
      this.#scratch = null;
      return;
    }
    const caches = buffers(() => new Int8Array(elements));
    const floats = buffers(() => new Float32Array(this.#slotElements));
    this.#caches = caches;
    this.#scratch = {
      cache: this.#openScratch(path.join(options.folder, graph.cache_scales), caches, floats),
      buffers: floats,
    };
    // Over an int8 cache attention sums every row by itself, so several rows at once are what they are one by one.
    this.verify = (tokens, start) => this.#verify(tokens, start);
  }

  async prefill(
    slot: number,
    tokens: readonly number[],
    start: number,
    logits: 'last' | 'none' | 'all',
  ): Promise<Float32Array> {
    const length = tokens.length;
    this.#requireRoom(start, length);
    // The logits of one row cost little, and a graph without rows is not something every kernel expects.
    const rows: [number, number] = logits === 'all' ? [0, length] : [length - 1, 1];
    // A single row would be summed in another order than it is among others: it gets company, of which nothing is kept.
    const padded = length === 1 && start + 1 < this.contextLength ? [...tokens, 0] : tokens;
    this.#scratch?.cache.load(slot, start);
    const result = await this.#runChunk(this.#scratch ? 'scratch' : `slot ${slot}`, slot, padded, start, rows);
    this.#scratch?.cache.store(start, start + length);
    return result;
  }

  async decode(tokens: readonly number[], lengths: readonly number[]): Promise<Float32Array> {
    for (const [slot, length] of lengths.entries()) {
      this.#requireRoom(length, 1);
      this.#scratch?.cache.forget(slot, length);
    }
    // A row is alone in its kernel's tile as the first of a step, and again after every 32 others.
    const isAlone = tokens.length === 1 ? this.#loneRowDiffers : tokens.length % TILE_ROWS === 1;
    if (!isAlone) return this.#step(1, tokens, lengths);
    return this.#step(0, [0, ...tokens], [0, ...lengths]).subarray(this.vocabularySize);
  }

  copySlot(from: number, to: number, length: number): void {
    const { kv_heads, head_dim } = this.#graph;
    this.#scratch?.cache.forget(to, 0);
    const head = this.contextLength * head_dim;
    for (const data of this.#caches) {
      for (let h = 0; h < kv_heads; h++) {
        const source = ((from + 1) * kv_heads + h) * head;
        data.copyWithin(((to + 1) * kv_heads + h) * head, source, source + length * head_dim);
      }
    }
  }

  terminate(): void {
    this.#session.terminate();
  }

  async close(): Promise<void> {
    for (const { binding } of [...this.#steps.values(), ...this.#chunks.values()]) binding.release();
    this.#session.close();
  }

  /** As `measureCache`, for a slot's first `length` positions. */
  largestCached(slot: number, length: number, isRotary: boolean): Float32Array[] {
    const { kv_heads, head_dim } = this.#graph;
    const half = head_dim / 2;
    return this.#caches.map((data, cache) => {
      const turns = isRotary && cache % 2 === 0;
      const largest = new Float32Array(kv_heads * head_dim);
      for (let head = 0; head < kv_heads; head++) {
        for (let position = 0; position < length; position++) {
          const start = (((slot + 1) * kv_heads + head) * this.contextLength + position) * head_dim;
          for (let i = 0; i < head_dim; i++) {
            const value = data[start + i] as number;
            const partner = data[start + ((i + half) % head_dim)] as number;
            const size = turns ? Math.hypot(value, partner) : Math.abs(value);
            largest[head * head_dim + i] = Math.max(largest[head * head_dim + i] as number, size);
          }
        }
      }
      return largest;
    });
  }

  /**
   * Some kernels sum a single row in another order than one of several, and a last bit then grows through the layers. Where that shows,
   * a sequence that decodes alone gets row 0 for company, so that its answer is the same alone and in a batch.
   */
  probe(): void {
    const alone = this.#step(1, [1], [0]).slice();
    const inCompany = this.#step(0, [0, 1], [0, 0]).subarray(this.vocabularySize);
    this.#loneRowDiffers = alone.some((logit, index) => logit !== inCompany[index]);
  }

  /** The runtime would write past a slot's rows without a word. */
  #requireRoom(start: number, length: number): void {
    if (length > 0 && start + length <= this.contextLength) return;
    throw new RangeError(`${length} tokens at ${start} do not fit a context of ${this.contextLength}`);
  }

  get #slotElements(): number {
    return this.#graph.kv_heads * this.contextLength * this.#graph.head_dim;
  }

  #openScratch(file: string, caches: readonly Int8Array[], floats: readonly Float32Array[]): ScratchCache {
    const { kv_heads: heads, head_dim: size } = this.#graph;
    const bytes = readFileSync(file);
    const scales = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    if (scales.length !== caches.length * heads * size) {
      throw new RangeError(
        `${file} holds ${scales.length} steps, the cache has ${caches.length * heads * size} channels`,
      );
    }
    const pairs = caches.map((int8, index): CachePair => {
      const float = floats[index];
      if (!float) throw new RangeError(`there is no scratch for cache ${index}`);
      // Row 0 of the int8 cache is no slot.
      return {
        int8: int8.subarray(this.#slotElements),
        float,
        scale: scales.subarray(index * heads * size, (index + 1) * heads * size),
      };
    });
    return new ScratchCache(pairs, { heads, size, capacity: this.contextLength });
  }

  /** One token for each of the cache's rows first..; [rows, vocabulary] that the next step overwrites. */
  #step(first: number, tokens: readonly number[], lengths: readonly number[]): Float32Array {
    const rows = tokens.length;
    const key = `${first}+${rows}`;
    const step =
      this.#steps.get(key) ?? new StepBinding(this.#bind(first, rows), rows, this.#stepLogits, this.vocabularySize);
    this.#steps.set(key, step);
    step.set(tokens, lengths);
    this.#session.run(step.binding);
    return this.#stepLogits.subarray(0, rows * this.vocabularySize);
  }

  async #verify(tokens: readonly number[], start: number): Promise<Float32Array> {
    this.#requireRoom(start, tokens.length);
    this.#scratch?.cache.forget(0, start);
    return this.#runChunk('slot 0', 0, tokens, start, [0, tokens.length]);
  }

  /** `where` is `scratch`, or the slot whose own cache the rows attend over. */
  async #runChunk(
    where: string,
    slot: number,
    tokens: readonly number[],
    start: number,
    rows: readonly [number, number],
  ): Promise<Float32Array> {
    const chunk =
      this.#chunks.get(where) ?? new ChunkBinding(where === 'scratch' ? this.#bindScratch() : this.#bind(slot + 1, 1));
    this.#chunks.set(where, chunk);
    const elements = rows[1] * this.vocabularySize;
    if (this.#logits.length < elements) this.#logits = new Float32Array(elements);
    const output = this.#logits.subarray(0, elements);
    chunk.set(tokens, start, rows, output);
    if (tokens.length <= SHORT_CHUNK) this.#session.run(chunk.binding);
    else await this.#session.runAsync(chunk.binding);
    return output;
  }

  /** Past and present are rows first..first+count-1 of the cache. */
  #bind(first: number, count: number): OrtBinding {
    const from = first * this.#slotElements;
    const rows = this.#caches.map((data) => data.subarray(from, from + count * this.#slotElements));
    const binding = this.#session.binding();
    this.#bindCaches(binding, ['past_key_values', 'present'], rows, [count, this.contextLength]);
    if (this.#scratch) {
      this.#bindCaches(binding, ['scratch', 'scratch_present'], this.#unused(Float32Array), [1, 1]);
      binding.input('is_prefill', new OrtTensor(new Uint8Array(128), [], 'bool'));
    }
    return binding;
  }

  #bindScratch(): OrtBinding {
    const binding = this.#session.binding();
    this.#bindCaches(binding, ['past_key_values', 'present'], this.#unused(Int8Array), [1, 1]);
    this.#bindCaches(binding, ['scratch', 'scratch_present'], this.#scratch?.buffers ?? [], [1, this.contextLength]);
    binding.input('is_prefill', new OrtTensor(new Uint8Array(128).fill(1), [], 'bool'));
    return binding;
  }

  /** One position, for the cache that a run passes through untouched. */
  #unused(kind: typeof Float32Array | typeof Int8Array): (Float32Array | Int8Array)[] {
    return this.#caches.map(() => new kind(Math.max(128, this.#graph.kv_heads * this.#graph.head_dim)));
  }

  #bindCaches(
    binding: OrtBinding,
    [past, present]: readonly [string, string],
    data: readonly TensorData[],
    [rows, capacity]: readonly [number, number],
  ): void {
    const { kv_heads, head_dim } = this.#graph;
    for (const [index, buffer] of data.entries()) {
      const name = `${index >> 1}.${index % 2 === 0 ? 'key' : 'value'}`;
      const tensor = new OrtTensor(buffer, [rows, kv_heads, capacity, head_dim]);
      binding.input(`${past}.${name}`, tensor);
      binding.output(`${present}.${name}`, tensor);
    }
  }
}
