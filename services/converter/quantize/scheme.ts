/**
 * What a precision is to the rest of the converter: how a layer's weights are stored once, and which nodes apply them in a graph.
 * One file per precision implements it. Knows no architecture.
 */
import type { DecoderSpec, Linear, Matrix } from '../architectures/decoder-spec.ts';
import type { GraphBuilder } from '../graph/graph-builder.ts';
import type { WeightsFile } from '../writers/weights-file.ts';

/** Adds the nodes that compute `input` [rows, in] times the stored weights and gives the result's name [rows, out]. */
export type ApplyLinear = (graph: GraphBuilder, input: string, name: string) => string;

/** Adds the nodes that look up `ids` [rows] and gives the states' name [rows, hidden]. */
export type ApplyEmbedding = (graph: GraphBuilder, ids: string, name: string) => string;

/** What is known of a linear layer's input: `unit` rows come out of an RMS norm without gain (their mean square is 1). */
export type InputKind = 'unit' | 'free';

export interface Scheme {
  /** The same model, rewritten so that this precision costs it less. */
  prepare(spec: DecoderSpec): DecoderSpec;
  linear(name: string, linear: Linear, input: InputKind, file: WeightsFile): Promise<ApplyLinear>;
  /** A lookup table; `head` applies the same stored weights as a linear layer (tied). */
  embedding(name: string, matrix: Matrix, file: WeightsFile): Promise<{ lookup: ApplyEmbedding; head: ApplyLinear }>;
  /** How small tables that are only looked up (learned positions) are kept. */
  readonly tables: 'float32' | 'float16';
  /** Whether keys and values are cached as int8 as well. */
  readonly quantizesCache: boolean;
  /** Whether integer products take the weights, so that processors without VNNI want them unsigned (GraphBuilder). */
  readonly multipliesIntegers: boolean;
  /** For people: how weights and activations are held. */
  readonly description: string;
  /** For people: what `prepare` does to this model; absent: nothing. */
  describePreparation?(spec: DecoderSpec): string;
}

/** Stores a bias and gives what adds it; without one, the identity. */
export async function storeBias(name: string, bias: Linear['bias'], file: WeightsFile): Promise<ApplyLinear> {
  if (!bias) return (_graph, input) => input;
  const values = await bias();
  const stored = await file.add(`${name}.bias`, 'float32', [values.length], values);
  return (graph, input, result) => graph.node('Add', [input, graph.weight(stored)], `${result}.biased`);
}
