/**
 * A decoder rewritten so that 8-bit activations lose little: norm gains folded into the layers behind them, the residual stream and
 * each value head rotated, the MLP's last input turned at run time. The same function in exact arithmetic, weights read lazily.
 * Layer norms become RMS norms (their writers are centred; SliceGPT, https://arxiv.org/abs/2401.15024). Knows no ONNX.
 */
import type { DecoderSpec, LayerSpec, Linear, Matrix, Norm } from '../architectures/decoder-spec.ts';
import { hadamard, hadamardBlock, Rotation } from './rotation.ts';

/** Blocks of the run-time rotation: large enough to spread an outlier, small enough to cost nothing. */
const RUN_TIME_BLOCK = 64;

type Edit = (weights: Float32Array, rows: number, columns: number) => void | Promise<void>;

/** Whether `rotateDecoder` turns the residual stream itself, or only what is inside its layers. */
export function turnsStream(spec: DecoderSpec): boolean {
  return spec.layers.every(({ attentionOutputNorm, mlpOutputNorm }) => !attentionOutputNorm && !mlpOutputNorm);
}

/** The stream and all around it where that is exact, else what is inside the layers (docs/decisions/006). */
export function rotateDecoder(spec: DecoderSpec): DecoderSpec {
  return turnsStream(spec) ? rotateStream(spec) : rotateLayers(spec);
}

function rotateStream(spec: DecoderSpec): DecoderSpec {
  const stream = new Rotation(spec.hiddenSize);
  const centre = spec.norm.kind === 'layer';
  const plain: Norm = { gain: null, bias: null };
  const { turnValues, turnHeads, turnDown, downBlock } = innerTurns(spec);

  const turnRows: Edit = (weights) => stream.applyToRows(weights);
  const intoStream = (linear: Linear, edit: Edit): Linear => ({
    weight: edited(linear.weight, async (weights, rows, columns) => {
      await edit(weights, rows, columns);
      if (centre) centreColumns(weights, rows, columns);
      stream.applyToColumns(weights);
    }),
    bias:
      linear.bias && (async () => rotatedBias(await (linear.bias as () => Promise<Float32Array>)(), stream, centre)),
  });
  const outOfStream = (linear: Linear, norm: Norm, edit: Edit = () => {}): Linear => ({
    weight: edited(linear.weight, async (weights, rows, columns) => {
      if (norm.gain) scaleColumns(weights, await norm.gain());
      stream.applyToRows(weights);
      await edit(weights, rows, columns);
    }),
    bias: norm.bias || linear.bias ? () => foldedBias(linear, norm, edit) : null,
  });
  const layer = (source: LayerSpec): LayerSpec => ({
    ...source,
    attentionNorm: plain,
    qkv: outOfStream(source.qkv, source.attentionNorm, turnValues),
    output: intoStream(source.output, turnHeads),
    mlpNorm: source.mlpNorm && plain,
    up: outOfStream(source.up, source.mlpNorm ?? source.attentionNorm),
    down: intoStream(source.down, turnDown),
    downHadamard: downBlock,
  });
  return {
    ...spec,
    norm: { kind: 'rms', epsilon: spec.norm.epsilon },
    embedding: edited(spec.embedding, turnRows),
    positions: spec.positions && edited(spec.positions, turnRows),
    embeddingOutput: centre ? centring(spec.hiddenSize, stream) : null,
    layers: spec.layers.map(layer),
    finalNorm: plain,
    head: spec.head && outOfStream(spec.head, spec.finalNorm),
    headInput: spec.head ? null : unrotatedGain(spec, stream),
  };
}

/** What is turned inside a layer and turned back there, whatever the stream does. */
function innerTurns(spec: DecoderSpec) {
  const valueBlock = hadamardBlock(spec.headDim);
  const downBlock = runTimeBlock(spec.intermediateSize);
  /** Value heads are turned by a Hadamard matrix each, and turned back by the output projection. */
  const turnValues: Edit = (weights, _rows, columns) => {
    const first = (spec.heads + spec.kvHeads) * spec.headDim * columns;
    hadamard(weights.subarray(first), 1, spec.kvHeads * spec.headDim, columns, valueBlock);
  };
  const turnHeads: Edit = (weights, rows, columns) => hadamard(weights, rows, columns, 1, valueBlock);
  const turnDown: Edit = (weights, rows, columns) => hadamard(weights, rows, columns, 1, downBlock);
  return { turnValues, turnHeads, turnDown, downBlock };
}

/**
 * A norm behind attention or MLP writes its gains to the stream: turned, it would need a whole matrix for them. Such a stream stays as it
 * is, and what leaves it is turned at run time, block by block. The embedding is turned as the head needs it, and back when looked up.
 */
function rotateLayers(spec: DecoderSpec): DecoderSpec {
  const { turnValues, turnHeads, turnDown, downBlock } = innerTurns(spec);
  const inputBlock = runTimeBlock(spec.hiddenSize);
  const turnInput: Edit = (weights, rows, columns) => hadamard(weights, rows, columns, 1, inputBlock);
  const withEdit = (linear: Linear, edit: Edit): Linear => ({ ...linear, weight: edited(linear.weight, edit) });
  const layer = (source: LayerSpec): LayerSpec => ({
    ...source,
    qkv: {
      weight: edited(edited(source.qkv.weight, turnInput), turnValues),
      bias: source.qkv.bias && (() => foldedBias(source.qkv, { gain: null, bias: null }, turnValues)),
    },
    output: withEdit(source.output, turnHeads),
    up: withEdit(source.up, turnInput),
    down: withEdit(source.down, turnDown),
    downHadamard: downBlock,
    inputHadamard: inputBlock,
  });
  const layers = spec.layers.map(layer);
  if (spec.head || spec.embeddingOutput || spec.headInput) return { ...spec, layers };
  const stream = new Rotation(spec.hiddenSize);
  return {
    ...spec,
    layers,
    embedding: edited(spec.embedding, (weights) => stream.applyToRows(weights)),
    embeddingOutput: squareMatrix(spec.hiddenSize, (identity) => stream.applyToRows(identity)),
    headInput: squareMatrix(spec.hiddenSize, (identity) => stream.applyToColumns(identity)),
  };
}

/**
 * A tied head reads the embedding as it is stored: rotated. What the final norm does between the two becomes one small matrix:
 * y -> (y Rᵀ * gain + bias) R.
 */
function unrotatedGain(spec: DecoderSpec, stream: Rotation): Linear {
  const { gain, bias } = spec.finalNorm;
  const read = async () => {
    const gains = gain ? await gain() : new Float32Array(spec.hiddenSize).fill(1);
    return turned(diagonal(gains), stream);
  };
  return {
    weight: { rows: spec.hiddenSize, columns: spec.hiddenSize, read },
    bias: bias && (async () => rotatedBias(await bias(), stream, false)),
  };
}

/** Takes the mean out of an embedded (and rotated) state. The embedding itself keeps it: a tied head needs it. */
function centring(size: number, stream: Rotation): Linear {
  return squareMatrix(size, (identity) => {
    centreRows(identity, size);
    turned(identity, stream);
  });
}

/** What becomes of the identity. */
function squareMatrix(size: number, edit: (identity: Float32Array) => void): Linear {
  const read = async () => {
    const matrix = diagonal(new Float32Array(size).fill(1));
    edit(matrix);
    return matrix;
  };
  return { weight: { rows: size, columns: size, read }, bias: null };
}

function diagonal(values: Float32Array): Float32Array {
  const matrix = new Float32Array(values.length ** 2);
  for (const [i, value] of values.entries()) matrix[i * values.length + i] = value;
  return matrix;
}

/** Rᵀ M R */
function turned(matrix: Float32Array, stream: Rotation): Float32Array {
  stream.applyToRows(matrix);
  stream.applyToColumns(matrix);
  return matrix;
}

function edited(matrix: Matrix, edit: Edit): Matrix {
  return {
    rows: matrix.rows,
    columns: matrix.columns,
    read: async () => {
      const weights = await matrix.read();
      await edit(weights, matrix.rows, matrix.columns);
      return weights;
    },
  };
}

function rotatedBias(bias: Float32Array, stream: Rotation, centre: boolean): Float32Array {
  if (centre) centreRows(bias, bias.length);
  stream.applyToRows(bias);
  return bias;
}

/** W (x * gain + beta) + b = W' x + (W beta + b). */
async function foldedBias(linear: Linear, norm: Norm, edit: Edit): Promise<Float32Array> {
  const { rows, columns } = linear.weight;
  const bias = linear.bias ? await linear.bias() : new Float32Array(rows);
  if (norm.bias) {
    const beta = await norm.bias();
    const weights = await linear.weight.read();
    for (let row = 0; row < rows; row++) {
      let sum = 0;
      for (let column = 0; column < columns; column++)
        sum += (weights[row * columns + column] as number) * (beta[column] as number);
      (bias[row] as number) += sum;
    }
  }
  await edit(bias, rows, 1);
  return bias;
}

function runTimeBlock(size: number): number {
  return Math.min(RUN_TIME_BLOCK, hadamardBlock(size));
}

function scaleColumns(weights: Float32Array, gains: Float32Array): void {
  for (let start = 0; start < weights.length; start += gains.length) {
    for (let column = 0; column < gains.length; column++)
      (weights[start + column] as number) *= gains[column] as number;
  }
}

function centreRows(weights: Float32Array, columns: number): void {
  for (let start = 0; start < weights.length; start += columns) {
    let sum = 0;
    for (let i = start; i < start + columns; i++) sum += weights[i] as number;
    const mean = sum / columns;
    for (let i = start; i < start + columns; i++) (weights[i] as number) -= mean;
  }
}

function centreColumns(weights: Float32Array, rows: number, columns: number): void {
  const means = new Float64Array(columns);
  for (let i = 0; i < weights.length; i++) (means[i % columns] as number) += (weights[i] as number) / rows;
  for (let i = 0; i < weights.length; i++) (weights[i] as number) -= means[i % columns] as number;
}
