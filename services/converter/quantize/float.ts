/**
 * fp32 and fp16: weights as they are, or rounded to half precision on disk and widened when the graph is loaded.
 */
import type { Linear, Matrix } from '../architectures/decoder-spec.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import { DATA_TYPES, type ExternalTensor } from '../graph/onnx-model.ts';
import type { WeightsFile } from '../writers/weights-file.ts';
import { toHalf } from './half.ts';
import type { Scheme } from './scheme.ts';

export function floatScheme(type: 'float32' | 'float16'): Scheme {
  const store = (name: string, matrix: Matrix, weights: Float32Array, file: WeightsFile) =>
    file.add(name, type, [matrix.rows, matrix.columns], type === 'float32' ? weights : toHalf(weights));
  return {
    quantizesCache: false,
    multipliesIntegers: false,
    tables: type,
    description: type === 'float32' ? 'weights float32' : 'weights float16 on disk, float32 when run',
    prepare: (spec) => spec,
    linear: async (name, linear, _input, file) => {
      const weight = await store(`${name}.weight`, linear.weight, await linear.weight.read(), file);
      return applyGemm(weight, await storeVector(`${name}.bias`, linear.bias, file));
    },
    embedding: async (name, matrix, file) => {
      const weight = await store(name, matrix, await matrix.read(), file);
      return {
        lookup: (graph, ids, result) => {
          const rows = graph.node('Gather', [graph.weight(weight), ids], result);
          return type === 'float32' ? rows : graph.node('Cast', [rows], `${result}.float`, { to: DATA_TYPES.float32 });
        },
        head: applyGemm(weight, null),
      };
    },
  };
}

/** A float32 linear layer in any precision: for the few small matrices that stay exact. */
export async function storeExact(name: string, linear: Linear, file: WeightsFile) {
  return floatScheme('float32').linear(name, linear, 'free', file);
}

async function storeVector(name: string, read: Linear['bias'], file: WeightsFile): Promise<ExternalTensor | null> {
  if (!read) return null;
  const values = await read();
  return file.add(name, 'float32', [values.length], values);
}

function applyGemm(weight: ExternalTensor, bias: ExternalTensor | null) {
  return (graph: GraphBuilder, input: string, name: string): string => {
    const stored = graph.weight(weight);
    // Folded into the weights when the graph is loaded.
    const wide =
      weight.type === 'float32'
        ? stored
        : graph.node('Cast', [stored], `${weight.name}.float`, { to: DATA_TYPES.float32 });
    return graph.node('Gemm', [input, wide, ...(bias ? [graph.weight(bias)] : [])], name, { transB: 1 });
  };
}
