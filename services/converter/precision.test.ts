import { PRECISIONS } from '@slipway/shared/contracts/manifest.ts';
import { describe, expect, it } from 'vitest';
import type { Divergence } from './parity/compare-logits.ts';
import { report } from './parity/parity-gate.ts';
import { BOUNDS, choosePrecision, FILE_SUFFIX, schemeFor } from './precision.ts';

describe('auto', () => {
  it.each([
    [260_000, 'fp32', '0.3 M parameters: small enough to be kept exact'],
    [134_515_008, 'int8', '134.5 M parameters: int8 is nearly lossless and serves the most requests'],
    [7e9, 'int4', '7000.0 M parameters: at int4 it fits a small host'],
  ] as const)('keeps %i parameters in %s, and says why', (parameters, precision, reason) => {
    expect(choosePrecision(parameters)).toEqual({ precision, reason });
  });
});

describe('precisions', () => {
  it('each have a scheme, a file name of their own and bounds that grow with coarseness', () => {
    expect(new Set(PRECISIONS.map((precision) => FILE_SUFFIX[precision])).size).toBe(PRECISIONS.length);
    for (const precision of PRECISIONS) expect(schemeFor(precision).description).not.toBe('');
    for (const [index, precision] of PRECISIONS.slice(1).entries()) {
      const [finer, coarser] = [BOUNDS[PRECISIONS[index] ?? 'fp32'], BOUNDS[precision]];
      expect(coarser.kl_divergence).toBeGreaterThan(finer.kl_divergence);
      expect(coarser.top1_agreement).toBeLessThan(finer.top1_agreement);
      expect(coarser.perplexity_ratio).toBeGreaterThan(finer.perplexity_ratio);
    }
  });
});

describe('a parity report', () => {
  const { kl_divergence, top1_agreement, perplexity_ratio } = BOUNDS.int8;
  const atTheBound: Divergence = {
    maxLogitError: 1,
    klDivergence: kl_divergence,
    top1Agreement: top1_agreement,
    perplexity: perplexity_ratio * 10,
    perplexitySource: 10,
    positions: 100,
  };
  const within = (changes: Partial<Divergence>) => report({ ...atTheBound, ...changes }, 't', 'int8').within_bounds;

  it('is within the bounds up to each of them, and beyond none', () => {
    expect(report(atTheBound, 'mine', 'int8')).toEqual({
      max_logit_error: 1,
      kl_divergence,
      top1_agreement,
      perplexity: perplexity_ratio * 10,
      perplexity_source: 10,
      tokens: 100,
      text: 'mine',
      within_bounds: true,
    });
    expect(within({ klDivergence: kl_divergence * 1.001 })).toBe(false);
    expect(within({ top1Agreement: top1_agreement - 0.001 })).toBe(false);
    expect(within({ perplexity: perplexity_ratio * 10.001 })).toBe(false);
    expect(report(atTheBound, 't', 'fp32').within_bounds).toBe(false);
  });

  it('is outside when a number is none', () => {
    expect(within({ klDivergence: Number.NaN })).toBe(false);
    expect(within({ klDivergence: Number.POSITIVE_INFINITY })).toBe(false);
    expect(within({ perplexity: Number.NaN })).toBe(false);
    expect(within({ top1Agreement: Number.NaN })).toBe(false);
  });
});
