import { openLayout } from '@slipway/inference/engine';
import { describe, expect, it } from 'vitest';
import type { DecoderSpec, Linear } from '../architectures/decoder-spec.ts';
import { describeDecoder } from '../architectures/find-architecture.ts';
import { padHeads } from '../architectures/pad-heads.ts';
import { buildVersion } from '../build-version.ts';
import { openCheckpoint } from '../readers/open-checkpoint.ts';
import { scratchFolder } from '../readers/testing/scratch.ts';
import { type Golden, type GoldenName, readGolden } from '../testing/golden.ts';
import { largestDifference } from '../testing/numbers.ts';
import { rotateDecoder } from './rotate-decoder.ts';

async function logitsOf(spec: DecoderSpec, golden: Golden): Promise<Float32Array> {
  const folder = await scratchFolder();
  const { graphs } = await buildVersion(spec, 'fp32', folder);
  const contextLength = golden.tokenIds.length;
  const layout = await openLayout({
    kind: 'graph',
    folder,
    graph: graphs.serving,
    threads: 1,
    slots: 1,
    contextLength,
  });
  const logits = (await layout.prefill(0, golden.tokenIds, 0, 'all')).slice();
  await layout.close();
  return logits;
}

async function withSpec<T>(name: GoldenName, use: (spec: DecoderSpec, golden: Golden) => Promise<T>): Promise<T> {
  const golden = await readGolden(name);
  const checkpoint = await openCheckpoint(golden.source);
  try {
    return await use(padHeads(describeDecoder(checkpoint)), golden);
  } finally {
    await checkpoint.close();
  }
}

function flat(rows: readonly Float32Array[]): number[] {
  return rows.flatMap((row) => [...row]);
}

describe('a rotated decoder', () => {
  // Tied and untied heads, grouped heads, biases everywhere, layer norms (centred), heads of 8 and three of them.
  it.each([
    'llama-plain',
    'llama-grouped-tied',
    'llama-one-kv-head',
    'llama-bias',
    'llama-head-dim-8',
    'gpt2',
    'gpt2-bare-odd-heads',
    // Normalized heads, attention and MLP side by side, one matrix for several projections, norms behind both.
    'qwen3-bias-tied',
    'phi',
    'phi-odd-heads',
    'phi3-longrope',
    'gemma3',
  ] as const)('is the same function: %s', async (name) => {
    await withSpec(name, async (spec, golden) => {
      const logits = await logitsOf(rotateDecoder(spec), golden);
      expect(largestDifference(logits, flat(golden.logits))).toBeLessThan(5e-4);
    });
  });

  it('is the same function with an untied head behind layer norms', async () => {
    await withSpec('gpt2', async (tied, golden) => {
      const untied: DecoderSpec = { ...tied, head: { weight: tied.embedding, bias: null } };
      const logits = await logitsOf(rotateDecoder(untied), golden);
      expect(largestDifference(logits, flat(golden.logits))).toBeLessThan(5e-4);
    });
  });

  it('is the same function with biases where norms stand behind the blocks', async () => {
    await withSpec('gemma3', async (plain, golden) => {
      const biased = (linear: Linear): Linear => {
        const bias = async () => Float32Array.from({ length: linear.weight.rows }, (_, row) => Math.sin(row));
        return { ...linear, bias };
      };
      const layers = plain.layers.map((layer) => ({
        ...layer,
        qkv: biased(layer.qkv),
        output: biased(layer.output),
        up: biased(layer.up),
        down: biased(layer.down),
      }));
      const spec: DecoderSpec = { ...plain, layers };
      const logits = await logitsOf(spec, golden);
      expect(largestDifference(logits, flat(golden.logits))).toBeGreaterThan(0.1);
      expect(largestDifference(await logitsOf(rotateDecoder(spec), golden), [...logits])).toBeLessThan(5e-4);
    });
  });

  it('holds other weights, no norm with a gain, and only RMS norms', async () => {
    for (const name of ['llama-grouped-tied', 'gpt2'] as const) {
      await withSpec(name, async (spec) => {
        const rotated = rotateDecoder(spec);
        expect(rotated.norm.kind).toBe('rms');
        const norms = rotated.layers.flatMap(({ attentionNorm, mlpNorm }) => [attentionNorm, mlpNorm]);
        for (const norm of [...norms, rotated.finalNorm]) expect(norm).toEqual({ gain: null, bias: null });
        for (const part of ['qkv', 'output', 'up', 'down'] as const) {
          const [before, after] = [spec.layers[0]?.[part].weight, rotated.layers[0]?.[part].weight];
          const weights = (await after?.read()) ?? new Float32Array();
          expect(weights).toHaveLength((before?.rows ?? 0) * (before?.columns ?? 0));
          expect(largestDifference(weights, (await before?.read()) ?? [])).toBeGreaterThan(0.01);
          // What was in 4-bit blocks is not any more.
          expect(after?.readBlocks).toBeUndefined();
        }
      });
    }
  });
});
