/**
 * The two graphs of a decoder over the same stored weights: `serving` (our engine's shared cache, logits of chosen rows) and `standard`
 * (past_key_values in, present out: what onnxruntime users and transformers.js expect). Rows of all sequences are computed as one matrix;
 * only attention sees sequences. Knows no precision and no family.
 */
import type { DecoderSpec } from '../architectures/decoder-spec.ts';
import { attention } from './attention.ts';
import type { CacheScales, Frame, QuantizedCache } from './frame.ts';
import { GraphBuilder, MS } from './graph-builder.ts';
import { DATA_TYPES } from './onnx-model.ts';
import type { StoredDecoder, StoredLayer, StoredNorm } from './store-decoder.ts';

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

/** Gives the logits [rows, vocabulary]. */
function decoder(stored: StoredDecoder, frame: Frame): string {
  const { graph, spec, logitRows } = frame;
  const ids = graph.node('Reshape', [frame.ids, graph.int64([-1])], 'row_ids');
  let state = stored.lookup(graph, ids, 'embedded');
  if (spec.embeddingScale !== 1)
    state = graph.node('Mul', [state, graph.float(spec.embeddingScale)], 'embedded_scaled');
  if (stored.positions)
    state = graph.node('Add', [state, stored.positions(graph, frame.positions(), 'position')], 'positioned');
  if (stored.embeddingOutput) state = stored.embeddingOutput(graph, state, 'embedding_output');
  const qkvShape = graph.node(
    'Concat',
    [frame.shape, graph.int64([(spec.heads + 2 * spec.kvHeads) * spec.headDim])],
    'qkv_shape',
    { axis: 0 },
  );

  let normalized = normalize(frame, stored.layers[0]?.attentionNorm ?? stored.finalNorm, state, 'first_norm');
  for (const [index, layer] of stored.layers.entries()) {
    const name = `layers.${index}`;
    let attended = attention(frame, layer, normalized, qkvShape, index);
    if (index === stored.layers.length - 1 && logitRows !== null) {
      // Behind the last attention only the rows whose logits are wanted are still needed.
      const wanted = (rows: string, result: string) =>
        graph.node('Gather', [rows, logitRows], `${name}.${result}_rows`);
      [attended, state] = [wanted(attended, 'attended'), wanted(state, 'state')];
      if (layer.mlpNorm === null) normalized = wanted(normalized, 'normalized');
    }
    let added = layer.output(graph, attended, `${name}.output`);
    if (layer.attentionOutputNorm)
      added = normalize(frame, layer.attentionOutputNorm, added, `${name}.attention_output_norm`);
    if (layer.mlpNorm) [normalized, state] = addAndNorm(frame, state, added, layer.mlpNorm, `${name}.mlp_norm`);
    let result = mlp(frame, layer, normalized, name);
    if (layer.mlpOutputNorm) result = normalize(frame, layer.mlpOutputNorm, result, `${name}.mlp_output_norm`);
    if (!layer.mlpNorm) result = graph.node('Add', [added, result], `${name}.both`);
    const next = stored.layers[index + 1]?.attentionNorm ?? stored.finalNorm;
    [normalized, state] = addAndNorm(frame, state, result, next, `${name}.next_norm`);
  }
  const headInput = stored.headInput ? stored.headInput(graph, normalized, 'head_input') : normalized;
  return stored.head(graph, headInput, 'head');
}

function mlp({ graph, spec }: Frame, layer: StoredLayer, input: string, name: string): string {
  const up = layer.up(graph, input, `${name}.up`);
  let hidden: string;
  if (spec.activation === 'gelu-tanh') {
    hidden = graph.node('FastGelu', [up], `${name}.gelu`, {}, MS);
  } else {
    const [gate = '', value = ''] = graph.nodes('Split', [up], [`${name}.gate`, `${name}.value`], {
      axis: -1,
      num_outputs: 2,
    });
    // QuickGelu with alpha 1 is x * sigmoid(x).
    const active =
      spec.activation === 'silu-gated'
        ? graph.node('QuickGelu', [gate], `${name}.silu`, { alpha: { float: 1 } }, MS)
        : graph.node('FastGelu', [gate], `${name}.gelu`, {}, MS);
    hidden = graph.node('Mul', [active, value], `${name}.gated`);
  }
  if (layer.downHadamard) {
    const [block = 1] = layer.downHadamard.shape;
    const blocks = graph.node('Reshape', [hidden, graph.int64([-1, block])], `${name}.blocks`);
    const turned = graph.node('MatMul', [blocks, graph.weight(layer.downHadamard)], `${name}.turned`);
    hidden = graph.node('Reshape', [turned, graph.int64([-1, spec.intermediateSize])], `${name}.hidden`);
  }
  return layer.down(graph, hidden, `${name}.down`);
}

function normalize({ graph, spec }: Frame, norm: StoredNorm, input: string, name: string): string {
  const op = spec.norm.kind === 'rms' ? 'SimplifiedLayerNormalization' : 'LayerNormalization';
  const inputs = [input, graph.weight(norm.gain), ...(norm.bias ? [graph.weight(norm.bias)] : [])];
  return graph.node(op, inputs, name, { axis: -1, epsilon: { float: spec.norm.epsilon } });
}

/** Adds to the residual stream and normalizes the sum: [normalized, sum]. */
function addAndNorm(
  { graph, spec }: Frame,
  state: string,
  added: string,
  norm: StoredNorm,
  name: string,
): [string, string] {
  const op = spec.norm.kind === 'rms' ? 'SkipSimplifiedLayerNormalization' : 'SkipLayerNormalization';
  const inputs = [state, added, graph.weight(norm.gain), ...(norm.bias ? [graph.weight(norm.bias)] : [])];
  const [normalized = '', , , sum = ''] = graph.nodes(
    op,
    inputs,
    [name, '', '', `${name}.sum`],
    { epsilon: { float: spec.norm.epsilon } },
    MS,
  );
  return [normalized, sum];
}
