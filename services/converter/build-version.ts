/**
 * From a checkpoint to a version's files in a folder: weights, both graphs, tokenizer, template and configuration.
 * Knows what lies where in a version; knows no bucket and does not judge the result.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { GraphSpec, Precision } from '@slipway/shared/contracts/manifest.ts';
import { type DecoderSpec, parameterCount } from './architectures/decoder-spec.ts';
import { padHeads } from './architectures/pad-heads.ts';
import { calibrateCache, joinScales } from './calibrate-cache.ts';
import type { TextFiles } from './checkpoint.ts';
import { servingGraph, standardGraph } from './graph/decoder-graph.ts';
import type { GraphBuilder } from './graph/graph-builder.ts';
import { storeDecoder } from './graph/store-decoder.ts';
import { FILE_SUFFIX, schemeFor } from './precision.ts';
import { WeightsFile, type Written } from './writers/weights-file.ts';

/** Positions a version is made for: rotary tables of 131,072 positions would be 64 MB that no host of this size ever reads. */
const LONGEST_CONTEXT = 16_384;

/** The same model for at most LONGEST_CONTEXT positions. */
export function limitContext(spec: DecoderSpec): DecoderSpec {
  return spec.ropes.length > 0 ? { ...spec, contextLength: Math.min(spec.contextLength, LONGEST_CONTEXT) } : spec;
}

export interface BuildOptions {
  /** Token ids that an int8 cache's steps are chosen on; needed by the precisions that have one. */
  readonly calibration?: readonly (readonly number[])[];
  /** Gets 0..1. */
  readonly onProgress?: (part: number, written?: Written) => void;
}

export interface BuiltVersion {
  readonly graphs: { readonly serving: GraphSpec; readonly standard: GraphSpec };
  readonly weights: string;
  /** Path -> sha256 of the files hashed while they were written. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Of the stored weights alone, without tables that are computed (rotary angles). */
  readonly bitsPerWeight: number;
  readonly description: string;
  /** Spent running the result to find its cache's steps; 0 for a float32 cache. */
  readonly calibrationSeconds: number;
  /** Of this process until the calibration began. */
  readonly peakRssMib: number;
}

/** The folder must exist and be empty. */
export async function buildVersion(
  source: DecoderSpec,
  precision: Precision,
  folder: string,
  { calibration = [], onProgress = () => {} }: BuildOptions = {},
): Promise<BuiltVersion> {
  const scheme = schemeFor(precision);
  const suffix = FILE_SUFFIX[precision];
  const weightsName = `model${suffix}.onnx_data`;
  const weightsPath = `onnx/${weightsName}`;
  await mkdir(path.join(folder, 'onnx'));
  const file = await WeightsFile.create(path.join(folder, weightsPath));
  let hash = '';
  const spec = padHeads(source);
  const stored = await storeDecoder(spec, scheme, file, (done) =>
    onProgress(done / spec.layers.length, file.written),
  ).finally(async () => {
    hash = await file.close();
  });
  const graphs = { serving: 'onnx/serving.onnx', standard: `onnx/model${suffix}.onnx` };
  const write = (name: string, graph: GraphBuilder) =>
    writeFile(path.join(folder, name), graph.encode(`${source.family} ${name}`, weightsName));
  await write(graphs.standard, standardGraph(stored));
  const graph = (layout: GraphSpec['layout'], file: string): GraphSpec => ({
    layout,
    path: file,
    layers: spec.layers.length,
    kv_heads: spec.kvHeads,
    head_dim: spec.headDim,
    vocab_size: spec.vocabSize,
    context_length: spec.contextLength,
    cache_scales: null,
    uint8_path: null,
  });
  const built = performance.now();
  const peakRssMib = process.resourceUsage().maxRSS / 1024;
  let serving = graph('shared-cache', graphs.serving);
  let scales: Awaited<ReturnType<typeof calibrateCache>> | null = null;
  if (scheme.quantizesCache) {
    // For the calibration alone, in the form that loads quickly on every processor.
    await write(graphs.serving, servingGraph(stored, null, { unsignedWeights: scheme.multipliesIntegers }));
    scales = await calibrateCache({ folder, graph: serving }, calibration, spec.ropes.length > 0);
    serving = { ...serving, cache_scales: 'onnx/cache_scales.f32' };
    await writeFile(path.join(folder, 'onnx/cache_scales.f32'), joinScales(scales));
  }
  await write(graphs.serving, servingGraph(stored, scales));
  if (scheme.multipliesIntegers) {
    serving = { ...serving, uint8_path: 'onnx/serving_uint8.onnx' };
    await write('onnx/serving_uint8.onnx', servingGraph(stored, scales, { unsignedWeights: true }));
  }
  return {
    graphs: { serving, standard: graph('standard', graphs.standard) },
    weights: weightsPath,
    hashes: new Map([[weightsPath, hash]]),
    bitsPerWeight: ((file.bytes - stored.computedBytes) * 8) / parameterCount(source),
    description: [scheme.description, scheme.describePreparation?.(spec) ?? []].flat().join('; '),
    peakRssMib,
    calibrationSeconds: (performance.now() - built) / 1000,
  };
}

/** The text side, as a Hugging Face folder holds it, and a config.json that transformers.js finds the graph by. */
export async function writeTextFiles(
  folder: string,
  text: TextFiles,
  config: Readonly<Record<string, unknown>>,
  precision: Precision,
): Promise<void> {
  const dtype = { fp32: 'fp32', fp16: 'fp16', int8: 'int8', int4: 'q4' }[precision];
  const standard = `model${FILE_SUFFIX[precision]}.onnx`;
  const json = async (name: string, value: unknown) =>
    writeFile(path.join(folder, name), `${JSON.stringify(value, null, 1)}\n`);
  await json('config.json', {
    ...config,
    'transformers.js_config': { dtype, use_external_data_format: { [standard]: 1 } },
  });
  await json('generation_config.json', { bos_token_id: text.bosTokenId, eos_token_id: text.eosTokenIds });
  await json('tokenizer_config.json', text.tokenizerConfig);
  await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(text.tokenizerJson));
  if (text.chatTemplate !== null) await writeFile(path.join(folder, 'chat_template.jinja'), text.chatTemplate);
}
