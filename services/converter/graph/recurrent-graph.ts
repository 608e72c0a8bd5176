/**
 * The one graph of a recurrent model, for our engine and for everybody else: a state goes in, the next one comes out, for any number of
 * sequences of equally many tokens. Weights are float32, or float16 on disk and widened when the graph is loaded. Knows no family.
 */
import type { RecurrentSpec } from '../architectures/recurrent-spec.ts';
import { floatScheme } from '../quantize/float.ts';
import { toHalf } from '../quantize/half.ts';
import { type ApplyEmbedding, type ApplyLinear, storeBias } from '../quantize/scheme.ts';
import type { WeightsFile } from '../writers/weights-file.ts';
import { GraphBuilder } from './graph-builder.ts';
import { DATA_TYPES } from './onnx-model.ts';

type ApplyWeight = (graph: GraphBuilder) => string;

interface StoredCell {
  readonly input: ApplyWeight;
  readonly recurrent: ApplyWeight;
  readonly bias: ApplyWeight | null;
}

export interface StoredRecurrent {
  readonly spec: RecurrentSpec;
  readonly lookup: ApplyEmbedding;
  readonly cells: readonly StoredCell[];
  readonly head: ApplyLinear;
}

/** `onCell` is told how many of the cells are written. Memory is bounded by the largest matrix. */
export async function storeRecurrent(
  spec: RecurrentSpec,
  type: 'float32' | 'float16',
  file: WeightsFile,
  onCell: (done: number) => void,
): Promise<StoredRecurrent> {
  const scheme = floatScheme(type);
  const weight = async (name: string, shape: readonly number[], values: Float32Array, as: typeof type) => {
    const tensor = await file.add(name, as, shape, as === 'float32' ? values : toHalf(values));
    return (graph: GraphBuilder) =>
      as === 'float32'
        ? graph.weight(tensor)
        : graph.node('Cast', [graph.weight(tensor)], `${name}.float`, { to: DATA_TYPES.float32 });
  };
  const embedding = await scheme.embedding('embedding', spec.embedding, file);
  const cells: StoredCell[] = [];
  for (const [index, { input, recurrent, bias }] of spec.cells.entries()) {
    const name = `cells.${index}`;
    // The leading 1 is the operator's number of directions.
    cells.push({
      input: await weight(`${name}.input`, [1, input.rows, input.columns], await input.read(), type),
      recurrent: await weight(
        `${name}.recurrent`,
        [1, recurrent.rows, recurrent.columns],
        await recurrent.read(),
        type,
      ),
      bias: bias && (await weight(`${name}.bias`, [1, 8 * spec.hiddenSize], await bias(), 'float32')),
    });
    onCell(index + 1);
  }
  return { spec, lookup: embedding.lookup, cells, head: await storeHead(spec, embedding.head, type, file) };
}

async function storeHead(
  { embedding, head }: RecurrentSpec,
  tied: ApplyLinear,
  type: 'float32' | 'float16',
  file: WeightsFile,
): Promise<ApplyLinear> {
  if (head.weight !== embedding) return floatScheme(type).linear('head', head, 'free', file);
  const bias = await storeBias('head', head.bias, file);
  return (graph, input, name) => bias(graph, tied(graph, input, name), name);
}

/** Its ports stand in docs/architecture.md. */
export function recurrentGraph({ spec, lookup, cells, head }: StoredRecurrent): GraphBuilder {
  const graph = new GraphBuilder();
  const { hiddenSize, vocabSize } = spec;
  const ids = graph.input('input_ids', 'int64', ['batch_size', 'sequence_length']);
  const state = ['hidden', 'cell'].map((part) => {
    const past = graph.input(`past_${part}`, 'float32', [cells.length, 'batch_size', hiddenSize]);
    graph.output(`present_${part}`, 'float32', [cells.length, 'batch_size', hiddenSize]);
    const names = cells.map((_, index) => `cells.${index}.past_${part}`);
    return { part, past: graph.nodes('Split', [past], names, { axis: 0, num_outputs: cells.length }), present: [''] };
  });
  const steps = graph.node('Transpose', [ids], 'steps', { perm: [1, 0] });
  // [sequence, batch, size] from here on to the last cell.
  let rows = lookup(graph, steps, 'embedded');
  for (const [index, cell] of cells.entries()) {
    const name = `cells.${index}`;
    const past = state.map((part) => part.past[index] ?? '');
    const inputs = [rows, cell.input(graph), cell.recurrent(graph), cell.bias?.(graph) ?? '', '', ...past];
    const outputs = [`${name}.directions`, ...state.map(({ part }) => `${name}.present_${part}`)];
    const [all = '', ...present] = graph.nodes('LSTM', inputs, outputs, { hidden_size: hiddenSize });
    for (const [part, values] of state.entries()) values.present[index] = present[part] ?? '';
    rows = graph.node('Squeeze', [all, graph.int64([1])], `${name}.rows`);
  }
  for (const { part, present } of state) graph.node('Concat', present, `present_${part}`, { axis: 0 });
  const bySequence = graph.node('Transpose', [rows], 'by_sequence', { perm: [1, 0, 2] });
  const flat = graph.node('Reshape', [bySequence, graph.int64([-1, hiddenSize])], 'flat');
  const shape = graph.node('Concat', [graph.node('Shape', [ids], 'shape'), graph.int64([vocabSize])], 'logits_shape', {
    axis: 0,
  });
  graph.node('Reshape', [head(graph, flat, 'head'), shape], 'logits');
  graph.output('logits', 'float32', ['batch_size', 'sequence_length', vocabSize]);
  return graph;
}
