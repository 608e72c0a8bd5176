/**
 * What weights a scheme's nodes really compute with: a tiny graph runs in plain onnxruntime-node over rows that pick each weight out.
 * Knows no scheme's nodes.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Linear, Matrix } from '../../../services/converter/architectures/decoder-spec.ts';
import { GraphBuilder } from '../../../services/converter/graph/graph-builder.ts';
import type { InputKind, Scheme } from '../../../services/converter/quantize/scheme.ts';
import { transposed } from '../../../services/converter/testing/numbers.ts';
import { WeightsFile } from '../../../services/converter/writers/weights-file.ts';
import { scratch } from './bucket-folder.ts';

export interface Stored {
  /** `input` [rows, columns of the weights] -> [rows, rows of the weights] */
  run(input: Float32Array): Promise<Float32Array>;
  /** Of the weights file. */
  readonly bytes: number;
}

export async function storeLinear(scheme: Scheme, linear: Linear, kind: InputKind = 'free'): Promise<Stored> {
  const { rows, columns } = linear.weight;
  return store(async (graph, file) => {
    const apply = await scheme.linear('w', linear, kind, file);
    graph.input('x', 'float32', ['n', columns]);
    return { result: apply(graph, 'x', 'product'), rows, columns };
  });
}

/** The embedding applied as a head. */
export async function storeHead(scheme: Scheme, matrix: Matrix): Promise<Stored> {
  return store(async (graph, file) => {
    const { head } = await scheme.embedding('w', matrix, file);
    graph.input('x', 'float32', ['n', matrix.columns]);
    return { result: head(graph, 'x', 'product'), rows: matrix.rows, columns: matrix.columns };
  });
}

/** The rows of an embedding that `ids` look up. */
export async function lookedUp(scheme: Scheme, matrix: Matrix, ids: readonly number[]): Promise<Float32Array> {
  const stored = await store(async (graph, file) => {
    const { lookup } = await scheme.embedding('w', matrix, file);
    graph.input('x', 'int64', ['n']);
    return { result: lookup(graph, 'x', 'rows'), rows: matrix.columns, columns: 1 };
  });
  return stored.run(Float32Array.from(ids));
}

/** [rows, columns], as float32. */
export async function effectiveWeights({ run }: Stored, columns: number): Promise<Float32Array> {
  const picks = Float32Array.from({ length: columns * columns }, (_, index) => (index % (columns + 1) === 0 ? 1 : 0));
  const result = await run(picks);
  return transposed(result, result.length / columns);
}

async function store(
  build: (graph: GraphBuilder, file: WeightsFile) => Promise<{ result: string; rows: number; columns: number }>,
): Promise<Stored> {
  const folder = await scratch();
  const file = await WeightsFile.create(path.join(folder, 'weights'));
  const graph = new GraphBuilder();
  const { result, rows, columns } = await build(graph, file).finally(() => file.close());
  graph.node('Identity', [result], 'y');
  graph.output('y', 'float32', ['n', rows]);
  const target = path.join(folder, 'graph.onnx');
  await writeFile(target, graph.encode('test', 'weights'));
  const run = async (input: Float32Array) => {
    const session = await InferenceSession.create(target, {
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      // Without it, int8 sums are cut off at 16 bits on processors without VNNI.
      extra: { session: { x64quantprecision: '1' } },
    });
    const isId = session.inputMetadata[0]?.isTensor && session.inputMetadata[0].type === 'int64';
    const shape = [input.length / columns, columns];
    const x = isId
      ? new Tensor('int64', BigInt64Array.from(input, BigInt), [input.length])
      : new Tensor('float32', input, shape);
    const { y } = await session.run({ x });
    await session.release();
    if (!(y?.data instanceof Float32Array)) throw new Error('the graph gave no float32 result');
    return y.data;
  };
  return { run, bytes: file.bytes };
}
