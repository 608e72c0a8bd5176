/**
 * What llama.cpp's precisions keep of the same source: quantized by llama.cpp, judged by our float32 engine on the same text, so that
 * only the weights differ. (llama.cpp rounds activations as well when it runs them.)
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readGgufHeader } from '@slipway/converter/gguf';
import { SourceFile } from '@slipway/converter/source-file';
import { type LlamaCppType, quantizedByLlamaCpp } from '../llama-cpp-quantize.ts';
import { convertOnce, runConvert } from './convert.ts';

const TYPES: readonly LlamaCppType[] = ['Q4_K_M', 'Q8_0'];

export interface WeightsResult {
  readonly type: LlamaCppType | 'source';
  readonly bits_per_weight: number;
  readonly perplexity: number;
  readonly perplexity_ratio: number;
}

/** `source` as for `slipway convert`. */
export async function measureLlamaCppWeights(
  source: string,
  parityText: string | undefined,
  tell: (line: string) => void,
): Promise<WeightsResult[]> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-'));
  try {
    const exact = join(folder, 'source.gguf');
    tell(`writing ${source} as GGUF in float32`);
    runConvert([source, '--to', 'gguf', '--precision', 'f32', '--out', exact]);
    const results: WeightsResult[] = [];
    let perplexityOfSource = Number.NaN;
    for (const type of ['source', ...TYPES] as const) {
      const file = type === 'source' ? exact : quantizedByLlamaCpp(exact, type, tell);
      tell(`judging ${type}`);
      // The float32 twin of any other precision is run over the whole text.
      const perplexity = convertOnce(file, 'fp16', parityText).parity.perplexity_source;
      if (type === 'source') perplexityOfSource = perplexity;
      results.push({
        type,
        bits_per_weight: await bitsPerWeight(file),
        perplexity,
        perplexity_ratio: Number((perplexity / perplexityOfSource).toFixed(5)),
      });
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function bitsPerWeight(file: string): Promise<number> {
  const opened = await SourceFile.open(file);
  try {
    const { tensors } = await readGgufHeader(opened);
    const weights = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    return Number(((bytes * 8) / weights).toFixed(3));
  } finally {
    await opened.close();
  }
}
