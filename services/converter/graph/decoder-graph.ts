/**
 * The two graphs of a decoder over the same stored weights: `serving` (our engine's shared cache, logits of chosen rows) and `standard`
 * (past_key_values in, present out: what onnxruntime users and transformers.js expect). Owns their ports; what lies between is in
 * decoder-body.ts. Knows no precision and no family.
 */
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import { decoder } from './decoder-body.ts';
import type { CacheScales, QuantizedCache } from './frame.ts';
import { GraphBuilder } from './graph-builder.ts';
import { DATA_TYPES } from './onnx-model.ts';
import type { StoredDecoder } from './store-decoder.ts';

/** Its ports stand in docs/architecture.md. */
export function servingGraph(
  stored: StoredDecoder,
  cacheScales: readonly CacheScales[] | null,
  options: { readonly unsignedWeights?: boolean } = {},
): GraphBuilder {
  const graph = new GraphBuilder(options);
  const { spec } = stored;
  const ids = graph.input('input_ids', 'int64', ['batch', 'sequence']);
  const lastIndex = graph.input('seqlens_k', 'int32', ['batch']);
  const total = graph.input('total_sequence_length', 'int32', [1]);
  const logitRows = graph.input('logit_rows', 'int64', ['logit_rows']);
  cachePorts(graph, spec, ['past_key_values', 'present'], cacheScales ? 'int8' : 'float32', [
    'batch',
    'capacity',
    'capacity',
  ]);
  const shape = graph.node('Shape', [ids], 'shape');
  // A run's first position is what is filled after it, less its length.
  const length = graph.node('Gather', [shape, graph.int64(1)], 'length');
  const last = graph.node('Cast', [lastIndex], 'last_position', { to: DATA_TYPES.int64 });
  const lengthLessOne = graph.node('Sub', [length, graph.int64(1)], 'length_less_one');
  const firstPosition = graph.node('Sub', [last, lengthLessOne], 'first_position');
  const positions = () => {
    const range = graph.node('Range', [graph.int64(0), length, graph.int64(1)], 'offsets');
    const column = graph.node('Unsqueeze', [firstPosition, graph.int64([1])], 'first_column');
    return graph.node('Reshape', [graph.node('Add', [column, range], 'positions'), graph.int64([-1])], 'row_positions');
  };
  let quantizedCache: QuantizedCache | null = null;
  if (cacheScales) {
    cachePorts(graph, spec, ['scratch', 'scratch_present'], 'float32', [
      'scratch_batch',
      'scratch_capacity',
      'scratch_capacity',
    ]);
    quantizedCache = { scales: cacheScales, isPrefill: graph.input('is_prefill', 'bool', []), firstPosition };
  }
  const logits = decoder(stored, { graph, quantizedCache, spec, ids, shape, lastIndex, total, positions, logitRows });
  graph.node('Identity', [logits], 'logits');
  graph.output('logits', 'float32', ['logit_rows', spec.vocabSize]);
  return graph;
}

/** The names that optimum and transformers.js use; padding on the right. */
export function standardGraph(stored: StoredDecoder): GraphBuilder {
  const graph = new GraphBuilder();
  const { vocabSize, positions } = stored.spec;
  const ids = graph.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const mask = graph.input('attention_mask', 'int64', ['batch_size', 'total_sequence_length']);
  if (positions) graph.input('position_ids', 'int64', ['batch_size', 'sequence_length']);
  cachePorts(graph, stored.spec, ['past_key_values', 'present'], 'float32', [
    'batch_size',
    'past_sequence_length',
    'total_sequence_length',
  ]);
  const shape = graph.node('Shape', [ids], 'shape');
  const filled = graph.node('ReduceSum', [mask, graph.int64([1])], 'filled', { keepdims: 0 });
  const lastIndex = graph.node('Cast', [graph.node('Sub', [filled, graph.int64(1)], 'last')], 'seqlens_k', {
    to: DATA_TYPES.int32,
  });
  const total = graph.node('Gather', [graph.node('Shape', [mask], 'mask_shape'), graph.int64([1])], 'total');
  const logits = decoder(stored, {
    graph,
    quantizedCache: null,
    spec: stored.spec,
    ids,
    shape,
    lastIndex,
    total: graph.node('Cast', [total], 'total_int32', { to: DATA_TYPES.int32 }),
    positions: () => graph.node('Reshape', ['position_ids', graph.int64([-1])], 'row_positions'),
    logitRows: null,
  });
  graph.node(
    'Reshape',
    [logits, graph.node('Concat', [shape, graph.int64([vocabSize])], 'logits_shape', { axis: 0 })],
    'logits',
  );
  graph.output('logits', 'float32', ['batch_size', 'sequence_length', vocabSize]);
  return graph;
}

/** `dimensions` names the open ones: batch, positions going in, positions coming out. */
function cachePorts(
  graph: GraphBuilder,
  spec: DecoderSpec,
  [past, present]: readonly [string, string],
  type: 'float32' | 'int8',
  [batch, before, after]: readonly [string, string, string],
): void {
  for (const index of spec.layers.keys()) {
    for (const part of ['key', 'value']) {
      graph.input(`${past}.${index}.${part}`, type, [batch, spec.kvHeads, before, spec.headDim]);
      graph.output(`${present}.${index}.${part}`, type, [batch, spec.kvHeads, after, spec.headDim]);
    }
  }
}
