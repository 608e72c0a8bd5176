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

/** An RMS norm of each single head, over its `headDim` numbers. */
export interface HeadNorm {
  /** [headDim] */
  readonly gain: () => Promise<Float32Array>;
  readonly epsilon: number;
}

export interface Rope {
  /** cos and sin of the first positions' angles, [positions, rotaryDim/2]. */
  tables(positions: number): Promise<{ readonly cos: Float32Array; readonly sin: Float32Array }>;
  /** For people: what a model that serves so many positions computes. */
  describe(positions: number): string;
}

export interface LayerSpec {
  readonly attentionNorm: Norm;
  /**
   * Rows: all query heads, then key heads, then value heads, `headDim` rows each. Rotary pairs are (i, i + rotaryDim/2); what lies
   * behind the first rotaryDim numbers of a head is not turned.
   */
  readonly qkv: Linear;
  /** Applied to query and key heads before they are turned; null: nothing is. */
  readonly headNorms: { readonly query: HeadNorm; readonly key: HeadNorm } | null;
  /** Which of the spec's ropes turns this layer's heads; null: none. */
  readonly rope: number | null;
  /** How many positions a token sees, itself included; null: all before it. */
  readonly window: number | null;
  readonly output: Linear;
  /** Applied to what attention gives, before it is added to the stream; null: nothing is. */
  readonly attentionOutputNorm: Norm | null;
  /** Null: attention and MLP both read attentionNorm's result, and both are added to the same stream. */
  readonly mlpNorm: Norm | null;
  /** As attentionOutputNorm, for the MLP. */
  readonly mlpOutputNorm: Norm | null;
  /** Gated: rows of gate, then of up. Otherwise up alone. */
  readonly up: Linear;
  readonly down: Linear;
  /** Blocks of this many of `down`'s inputs are turned by a Hadamard matrix first (its weights are turned already); null: none. */
  readonly downHadamard: number | null;
  /** As downHadamard, for what qkv and up read. */
  readonly inputHadamard: number | null;
}

export interface DecoderSpec {
  readonly family: string;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of the headDim numbers of a head, so many are turned with its position; headDim where no layer has a rope. */
  readonly rotaryDim: number;
  readonly intermediateSize: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly norm: { readonly kind: 'rms' | 'layer'; readonly epsilon: number };
  readonly activation: 'silu-gated' | 'gelu-tanh-gated' | 'gelu-tanh';
  /** What layers choose from; none when positions are embedded instead. */
  readonly ropes: readonly Rope[];
  /** What attention scores are multiplied with. */
  readonly attentionScale: number;
  /** Learned positions [contextLength, hiddenSize], added to the embedding. */
  readonly positions: Matrix | null;
  readonly embedding: Matrix;
  /** What embedded tokens are multiplied with. */
  readonly embeddingScale: number;
  /** Applied to the embedded state, in full precision; null: nothing is. */
  readonly embeddingOutput: Linear | null;
  /** Null when the embedding is used again (tied). */
  readonly head: Linear | null;
  /** Applied to the last normalized state before a tied head, in full precision; null: nothing is. */
  readonly headInput: Linear | null;
  readonly finalNorm: Norm;
  readonly layers: readonly LayerSpec[];
}

/** For people: how positions are told apart. */
export function describePositions(spec: DecoderSpec): string {
  const windows = new Set(spec.layers.map(({ window }) => window ?? spec.contextLength));
  const ropes = spec.ropes.map((rope) => rope.describe(spec.contextLength));
  const part = spec.rotaryDim < spec.headDim ? `, ${spec.rotaryDim} of ${spec.headDim} numbers of a head turned` : '';
  const how = ropes.length > 0 ? `rotary: ${[...new Set(ropes)].join('; ')}${part}` : 'learned';
  const local = [...windows].filter((window) => window < spec.contextLength);
  return local.length > 0 ? `${how}; windows of ${local.join(' and ')}` : how;
}

/** Stored weights, the tied head counted once. */
export function parameterCount(spec: DecoderSpec): number {
  const linear = ({ weight, bias }: Linear) => weight.rows * weight.columns + (bias ? weight.rows : 0);
  const norm = ({ bias }: Norm) => spec.hiddenSize * (bias ? 2 : 1);
  const layers = spec.layers.map((layer) => {
    const { attentionNorm, attentionOutputNorm, mlpNorm, mlpOutputNorm } = layer;
    const norms = [attentionNorm, attentionOutputNorm, mlpNorm, mlpOutputNorm].flatMap((own) => own ?? []);
    const heads = layer.headNorms ? 2 * spec.headDim : 0;
    const linears = [layer.qkv, layer.output, layer.up, layer.down];
    return sum(norms.map(norm)) + sum(linears.map(linear)) + heads;
  });
  const positions = spec.positions ? spec.positions.rows * spec.positions.columns : 0;
  const head = spec.head ? linear(spec.head) : 0;
  return sum(layers) + spec.embedding.rows * spec.embedding.columns + positions + head + norm(spec.finalNorm);
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}
