/**
 * From a recurrent model to a version's weights and graph in a folder, and the precisions there are for it. Text files and the proof are
 * those of every version.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { type GraphSpec, type Precision, UNBOUNDED_CONTEXT } from '@slipway/shared/contracts/manifest.ts';
import { type RecurrentSpec, recurrentParameterCount } from './architectures/recurrent-spec.ts';
import type { BuildOptions, BuiltVersion } from './build-version.ts';
import { recurrentGraph, storeRecurrent } from './graph/recurrent-graph.ts';
import { choosePrecision, FILE_SUFFIX } from './precision.ts';
import { WeightsFile } from './writers/weights-file.ts';

const DESCRIPTIONS = { fp32: 'weights float32', fp16: 'weights float16 on disk, float32 when run' } as const;
type RecurrentPrecision = keyof typeof DESCRIPTIONS;

/**
 * The precision to build, with the reason when it was chosen by size. AppError unsupported_source for one that there is not: a state
 * passes through the rounded products once for every token, and a kernel for them would have to give each sequence its own scale.
 */
export function recurrentPrecision(
  spec: RecurrentSpec,
  asked: Precision | 'auto',
): { precision: RecurrentPrecision; reason: string } {
  if (asked === 'auto') {
    const { precision, reason } = choosePrecision(recurrentParameterCount(spec));
    if (precision === 'fp32') return { precision, reason };
    return { precision: 'fp16', reason: 'a recurrent model is kept in fp32 or fp16; fp16 takes half the disk' };
  }
  if (asked === 'fp32' || asked === 'fp16') return { precision: asked, reason: '' };
  throw new AppError(
    'unsupported_source',
    `--precision ${asked} is not made of a recurrent model (${spec.family}); take fp32, fp16 or auto`,
  );
}

/** The folder must exist and be empty. One graph serves both roles. */
export async function buildRecurrent(
  spec: RecurrentSpec,
  asked: Precision,
  folder: string,
  { onProgress = () => {} }: BuildOptions = {},
): Promise<BuiltVersion> {
  const { precision } = recurrentPrecision(spec, asked);
  const name = `model${FILE_SUFFIX[precision]}.onnx`;
  const weights = `onnx/${name}_data`;
  await mkdir(path.join(folder, 'onnx'));
  const file = await WeightsFile.create(path.join(folder, weights));
  let hash = '';
  const type = precision === 'fp32' ? 'float32' : 'float16';
  const stored = await storeRecurrent(spec, type, file, (done) =>
    onProgress(done / spec.cells.length, file.written),
  ).finally(async () => {
    hash = await file.close();
  });
  const encoded = recurrentGraph(stored).encode(`${spec.family} ${name}`, `${name}_data`);
  await writeFile(path.join(folder, 'onnx', name), encoded);
  const graph: GraphSpec = {
    layout: 'recurrent',
    path: `onnx/${name}`,
    layers: spec.cells.length,
    kv_heads: 1,
    head_dim: spec.hiddenSize,
    vocab_size: spec.vocabSize,
    context_length: UNBOUNDED_CONTEXT,
    cache_scales: null,
    uint8_path: null,
  };
  return {
    graphs: { serving: graph, standard: graph },
    weights,
    hashes: new Map([[weights, hash]]),
    bitsPerWeight: (file.bytes * 8) / recurrentParameterCount(spec),
    description: DESCRIPTIONS[precision],
    calibrationSeconds: 0,
    peakRssMib: process.resourceUsage().maxRSS / 1024,
  };
}
