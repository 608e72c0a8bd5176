/**
 * What an architecture says of a model: its sizes, its norms and activations, and where each weight comes from.
 * A transformer decoder as data; knows no ONNX and no precision. Everything that is quirky about one family ends here.
 */

/** Read when asked for, row-major float32, [rows, columns] = [out, in] of a linear layer. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  read(): Promise<Float32Array>;
  /** When the source holds it in 4-bit blocks of 32 columns: exactly those (see SourceTensor.readBlocks). */
  readBlocks?(): Promise<Blocks>;
}

/** w = scale * q + minimum; q in 0..15, one byte per weight; scales and minimums [rows, columns/32]. */
export interface Blocks {
  readonly q: Uint8Array;
  readonly scales: Float32Array;
  readonly minimums: Float32Array;
}

export interface Linear {
  readonly weight: Matrix;
  readonly bias: (() => Promise<Float32Array>) | null;
}

export interface Norm {
  /** Null: all ones. */
  readonly gain: (() => Promise<Float32Array>) | null;
  /** Null for an RMS norm. */
  readonly bias: (() => Promise<Float32Array>) | null;
}

export interface LayerSpec {
  readonly attentionNorm: Norm;
  /** Rows: all query heads, then key heads, then value heads, `headDim` rows each. Rotary pairs are (i, i + headDim/2). */
  readonly qkv: Linear;
  readonly output: Linear;
  readonly mlpNorm: Norm;
  /** Gated: rows of gate, then of up. Otherwise up alone. */
  readonly up: Linear;
  readonly down: Linear;
  /** Blocks of this many of `down`'s inputs are turned by a Hadamard matrix first (its weights are turned already); null: none. */
  readonly downHadamard: number | null;
}

export interface DecoderSpec {
  readonly family: string;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly norm: { readonly kind: 'rms' | 'layer'; readonly epsilon: number };
  readonly activation: 'silu-gated' | 'gelu-tanh';
  /** cos and sin of the first positions' angles, [positions, headDim/2]; null when positions are embedded instead. */
  readonly rope: ((positions: number) => Promise<{ readonly cos: Float32Array; readonly sin: Float32Array }>) | null;
  /** What attention scores are multiplied with. */
  readonly attentionScale: number;
  /** Learned positions [contextLength, hiddenSize], added to the embedding. */
  readonly positions: Matrix | null;
  readonly embedding: Matrix;
  /** Applied to the embedded state, in full precision; null: nothing is. */
  readonly embeddingOutput: Linear | null;
  /** Null when the embedding is used again (tied). */
  readonly head: Linear | null;
  /** Applied to the last normalized state before a tied head, in full precision; null: nothing is. */
  readonly headInput: Linear | null;
  readonly finalNorm: Norm;
  readonly layers: readonly LayerSpec[];
}

/** Stored weights, the tied head counted once. */
export function parameterCount(spec: DecoderSpec): number {
  const linear = ({ weight, bias }: Linear) => weight.rows * weight.columns + (bias ? weight.rows : 0);
  const norm = ({ bias }: Norm) => spec.hiddenSize * (bias ? 2 : 1);
  const layers = spec.layers.map(
    (layer) =>
      norm(layer.attentionNorm) +
      linear(layer.qkv) +
      linear(layer.output) +
      norm(layer.mlpNorm) +
      linear(layer.up) +
      linear(layer.down),
  );
  const positions = spec.positions ? spec.positions.rows * spec.positions.columns : 0;
  const head = spec.head ? linear(spec.head) : 0;
  return (
    layers.reduce((a, b) => a + b, 0) +
    spec.embedding.rows * spec.embedding.columns +
    positions +
    head +
    norm(spec.finalNorm)
  );
}
