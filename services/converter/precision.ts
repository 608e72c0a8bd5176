/**
 * The precisions: which scheme writes each, what it is called in file names, which one `auto` takes, and how far each may drift.
 */
import type { Precision } from '@slipway/shared/contracts/manifest.ts';
import { floatScheme } from './quantize/float.ts';
import { int4Scheme } from './quantize/int4.ts';
import { int8Scheme } from './quantize/int8.ts';
import type { Scheme } from './quantize/scheme.ts';

export function schemeFor(precision: Precision): Scheme {
  switch (precision) {
    case 'fp32':
      return floatScheme('float32');
    case 'fp16':
      return floatScheme('float16');
    case 'int8':
      return int8Scheme();
    case 'int4':
      return int4Scheme();
  }
}

/** transformers.js finds a graph by this ending: `onnx/model_int8.onnx`. */
export const FILE_SUFFIX: Readonly<Record<Precision, string>> = { fp32: '', fp16: '_fp16', int8: '_int8', int4: '_q4' };

/** Below this, a model is so small that quantizing it saves nothing anyone would notice. */
const SMALL = 20e6;
/** Above this, weights at 8 bits no longer fit a small host beside its cache, and reading them bounds the speed. */
const LARGE = 1.5e9;

/** `auto`, with the reason for people. */
export function choosePrecision(parameters: number): { precision: Precision; reason: string } {
  const millions = `${(parameters / 1e6).toFixed(1)} M parameters`;
  if (parameters < SMALL) return { precision: 'fp32', reason: `${millions}: small enough to be kept exact` };
  if (parameters < LARGE)
    return { precision: 'int8', reason: `${millions}: int8 is nearly lossless and serves the most requests` };
  return { precision: 'int4', reason: `${millions}: at int4 it fits a small host` };
}

export interface Bounds {
  readonly kl_divergence: number;
  readonly top1_agreement: number;
  /** Of the source's perplexity. */
  readonly perplexity_ratio: number;
}

/** What a version may differ from its source, on the parity text. The one place these numbers stand. */
export const BOUNDS: Readonly<Record<Precision, Bounds>> = {
  fp32: { kl_divergence: 1e-5, top1_agreement: 0.995, perplexity_ratio: 1.0001 },
  fp16: { kl_divergence: 1e-4, top1_agreement: 0.99, perplexity_ratio: 1.001 },
  int8: { kl_divergence: 0.03, top1_agreement: 0.9, perplexity_ratio: 1.01 },
  int4: { kl_divergence: 0.12, top1_agreement: 0.8, perplexity_ratio: 1.06 },
};
