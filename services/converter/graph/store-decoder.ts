/**
 * Writes a decoder's weights once, layer by layer, and keeps how each is applied: what both graphs are then built from.
 * Memory is bounded by the largest single matrix. Knows no file layout beyond the weights file, and no precision.
 */
import type { DecoderSpec, HeadNorm, Linear, Norm, Rope } from '../architectures/decoder-spec.ts';
import { floatScheme, storeExact } from '../quantize/float.ts';
import type { ApplyEmbedding, ApplyLinear, Scheme } from '../quantize/scheme.ts';
import type { WeightsFile } from '../writers/weights-file.ts';
import type { ExternalTensor } from './onnx-model.ts';

export interface StoredNorm {
  readonly gain: ExternalTensor;
  readonly bias: ExternalTensor | null;
}

export interface StoredHeadNorm {
  readonly gain: ExternalTensor;
  readonly epsilon: number;
}

export interface StoredRope {
  readonly cos: ExternalTensor;
  readonly sin: ExternalTensor;
}

/** As LayerSpec says of each. */
export interface StoredLayer {
  readonly attentionNorm: StoredNorm;
  readonly qkv: ApplyLinear;
  readonly headNorms: { readonly query: StoredHeadNorm; readonly key: StoredHeadNorm } | null;
  readonly rope: StoredRope | null;
  readonly window: number | null;
  readonly output: ApplyLinear;
  readonly attentionOutputNorm: StoredNorm | null;
  readonly mlpNorm: StoredNorm | null;
  readonly mlpOutputNorm: StoredNorm | null;
  readonly up: ApplyLinear;
  /** float32 [block, block] applied to each block of `down`'s input, and of what qkv and up read. */
  readonly downHadamard: ExternalTensor | null;
  readonly inputHadamard: ExternalTensor | null;
  readonly down: ApplyLinear;
}

export interface StoredDecoder {
  /** As prepared for the precision. */
  readonly spec: DecoderSpec;
  readonly lookup: ApplyEmbedding;
  readonly positions: ApplyEmbedding | null;
  readonly embeddingOutput: ApplyLinear | null;
  readonly layers: readonly StoredLayer[];
  readonly finalNorm: StoredNorm;
  readonly headInput: ApplyLinear | null;
  readonly head: ApplyLinear;
  /** Bytes of tables that are computed, not learned (rotary angles, Hadamard matrices). */
  readonly computedBytes: number;
}

/** `onLayer` is told how many of the layers are written. */
export async function storeDecoder(
  source: DecoderSpec,
  scheme: Scheme,
  file: WeightsFile,
  onLayer: (done: number) => void,
): Promise<StoredDecoder> {
  const spec = scheme.prepare(source);
  const computed = new Map<string, ExternalTensor>();
  const table = async (name: string, shape: readonly number[], values: () => Float32Array) => {
    const stored = computed.get(name) ?? (await file.add(name, 'float32', shape, values()));
    computed.set(name, stored);
    return stored;
  };
  const someNorm = async (name: string, own: Norm | null) => own && norm(name, own);
  const norm = async (name: string, { gain, bias }: Norm): Promise<StoredNorm> => ({
    gain: gain
      ? await file.add(`${name}.gain`, 'float32', [spec.hiddenSize], await gain())
      : await table('ones', [spec.hiddenSize], () => new Float32Array(spec.hiddenSize).fill(1)),
    bias: bias && (await file.add(`${name}.bias`, 'float32', [spec.hiddenSize], await bias())),
  });
  const headNorm = async (name: string, { gain, epsilon }: HeadNorm): Promise<StoredHeadNorm> => ({
    gain: await file.add(`${name}.gain`, 'float32', [spec.headDim], await gain()),
    epsilon,
  });
  const hadamard = async (block: number | null) =>
    block === null ? null : table(`hadamard_${block}`, [block, block], () => hadamardMatrix(block));
  const exact = (name: string, linear: Linear | null) => linear && storeExact(name, linear, file);

  const embedding = await scheme.embedding('embedding', spec.embedding, file);
  const positions =
    spec.positions && (await floatScheme(scheme.tables).embedding('positions', spec.positions, file)).lookup;
  const embeddingOutput = await exact('embedding_output', spec.embeddingOutput);
  const ropes: StoredRope[] = [];
  for (const [index, rope] of spec.ropes.entries()) ropes.push(await storeRope(spec, rope, index, table));
  const layers: StoredLayer[] = [];
  // After a norm without gain every row has a mean square of 1; a bias or gain would change that.
  const kind = ({ gain, bias }: Norm) => (gain || bias ? 'free' : 'unit');
  for (const [index, layer] of spec.layers.entries()) {
    const name = `layers.${index}`;
    layers.push({
      attentionNorm: await norm(`${name}.attention_norm`, layer.attentionNorm),
      qkv: await scheme.linear(`${name}.qkv`, layer.qkv, kind(layer.attentionNorm), file),
      headNorms: layer.headNorms && {
        query: await headNorm(`${name}.query_norm`, layer.headNorms.query),
        key: await headNorm(`${name}.key_norm`, layer.headNorms.key),
      },
      rope: layer.rope === null ? null : (ropes[layer.rope] ?? null),
      window: layer.window,
      output: await scheme.linear(`${name}.output`, layer.output, 'free', file),
      attentionOutputNorm: await someNorm(`${name}.attention_output_norm`, layer.attentionOutputNorm),
      mlpNorm: await someNorm(`${name}.mlp_norm`, layer.mlpNorm),
      up: await scheme.linear(`${name}.up`, layer.up, kind(layer.mlpNorm ?? layer.attentionNorm), file),
      downHadamard: await hadamard(layer.downHadamard),
      inputHadamard: await hadamard(layer.inputHadamard),
      down: await scheme.linear(`${name}.down`, layer.down, 'free', file),
      mlpOutputNorm: await someNorm(`${name}.mlp_output_norm`, layer.mlpOutputNorm),
    });
    onLayer(index + 1);
  }
  const finalNorm = await norm('final_norm', spec.finalNorm);
  const headInput = await exact('head_input', spec.headInput);
  const head = spec.head ? await scheme.linear('head', spec.head, kind(spec.finalNorm), file) : embedding.head;
  const computedBytes = [...computed.values()].reduce((sum, { length }) => sum + length, 0);
  return {
    spec,
    lookup: embedding.lookup,
    positions,
    embeddingOutput,
    layers,
    finalNorm,
    headInput,
    head,
    computedBytes,
  };
}

async function storeRope(
  { contextLength, rotaryDim }: DecoderSpec,
  rope: Rope,
  index: number,
  table: (name: string, shape: readonly number[], values: () => Float32Array) => Promise<ExternalTensor>,
): Promise<StoredRope> {
  const shape = [contextLength, rotaryDim / 2];
  const { cos, sin } = await rope.tables(contextLength);
  const name = index === 0 ? 'rope' : `rope_${index}`;
  return { cos: await table(`${name}_cos`, shape, () => cos), sin: await table(`${name}_sin`, shape, () => sin) };
}

/** Sylvester's construction: entry (i, j) is (-1)^(number of ones in i & j) / sqrt(size). */
function hadamardMatrix(size: number): Float32Array {
  const matrix = new Float32Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      let bits = i & j;
      let sign = 1;
      for (; bits > 0; bits &= bits - 1) sign = -sign;
      matrix[i * size + j] = sign / Math.sqrt(size);
    }
  }
  return matrix;
}
