/**
 * What a graph tells its parts: whose rows are computed, how long each sequence is, and how keys and values are cached. Types only.
 */
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import type { GraphBuilder } from './graph-builder.ts';

/** One layer's int8 cache: the value of one step, per channel [kv_heads * head_dim]. */
export interface CacheScales {
  readonly key: Float32Array;
  readonly value: Float32Array;
}

export interface QuantizedCache {
  readonly scales: readonly CacheScales[];
  /** bool scalar: many rows of one sequence, rather than one row of each. */
  readonly isPrefill: string;
  /** int64 [1]: where a prefill's first row stands. */
  readonly firstPosition: string;
}

/** What differs between the two: how attention is told of lengths, and whose logits are wanted. */
export interface Frame {
  readonly graph: GraphBuilder;
  /** Null when the cache is float32. */
  readonly quantizedCache: QuantizedCache | null;
  readonly spec: DecoderSpec;
  /** int64 [batch, sequence] and its shape. */
  readonly ids: string;
  readonly shape: string;
  /** int32 [batch]: filled length minus one, this step included. int32 [1]: the longest of them, plus one. */
  readonly lastIndex: string;
  readonly total: string;
  /** Adds the nodes for int64 [rows] positions. */
  readonly positions: () => string;
  /** int64 indices of the rows that go on to the head, or null for all. */
  readonly logitRows: string | null;
}
