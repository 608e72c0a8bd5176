/**
 * What both graphs of a decoder compute between ids and logits. Rows of all sequences are one matrix; only attention sees sequences.
 * Knows no ports, no precision and no family.
 */
import { attention } from './attention.ts';
import type { Frame } from './frame.ts';
import { MS } from './graph-builder.ts';
import type { ExternalTensor } from './onnx-model.ts';
import type { StoredDecoder, StoredLayer, StoredNorm } from './store-decoder.ts';

/** Gives the logits [rows, vocabulary]. */
export function decoder(stored: StoredDecoder, frame: Frame): string {
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
    const input = turned(frame, layer.inputHadamard, normalized, spec.hiddenSize, name);
    let attended = attention(frame, layer, input, qkvShape, index);
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

function mlp(frame: Frame, layer: StoredLayer, normalized: string, name: string): string {
  const { graph, spec } = frame;
  const input = turned(frame, layer.inputHadamard, normalized, spec.hiddenSize, `${name}.mlp`);
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
  const turnedHidden = turned(frame, layer.downHadamard, hidden, spec.intermediateSize, `${name}.hidden`);
  return layer.down(graph, turnedHidden, `${name}.down`);
}

/** Each block of the rows, `width` wide, times the matrix; the rows themselves without one. */
function turned({ graph }: Frame, matrix: ExternalTensor | null, rows: string, width: number, name: string): string {
  if (!matrix) return rows;
  const [block = 1] = matrix.shape;
  const blocks = graph.node('Reshape', [rows, graph.int64([-1, block])], `${name}.blocks`);
  const product = graph.node('MatMul', [blocks, graph.weight(matrix)], `${name}.turned_blocks`);
  return graph.node('Reshape', [product, graph.int64([-1, width])], `${name}.turned`);
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
