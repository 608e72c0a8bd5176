import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Checkpoint } from '../../checkpoint.ts';
import { openCheckpoint } from '../../readers/open-checkpoint.ts';
import { GOLDEN_FOLDERS, GOLDEN_GGUFS, largestError, readGolden } from '../../testing/golden.ts';
import { referenceLogits } from './reference-logits.ts';

const tokenizerSchema = z.object({ model: z.object({ vocab: z.record(z.string(), z.number()) }) });
const REAL_MODELS = fileURLToPath(new URL('../../../../../shared/models', import.meta.url));

async function withCheckpoint<T>(path: string, use: (checkpoint: Checkpoint) => Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint(path);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

function greedyTokens(logits: readonly Float32Array[]): number[] {
  return logits.map((row) => row.reduce((best, value, token) => (value > (row[best] ?? Number.NaN) ? token : best), 0));
}

describe('referenceLogits', () => {
  it.each([...GOLDEN_FOLDERS, ...GOLDEN_GGUFS])('computes what PyTorch computed: %s', async (name) => {
    const golden = await readGolden(name);
    const all = [...golden.tokenIds, ...golden.greedy];
    const logits = await withCheckpoint(golden.source, (checkpoint) => referenceLogits(checkpoint, all, golden.served));
    expect(largestError(logits.slice(0, golden.tokenIds.length), golden.logits)).toBeLessThan(1e-4);
    // Fed its own continuation, every position must choose the next token of it.
    expect(greedyTokens(logits.slice(golden.tokenIds.length - 1, -1))).toEqual(golden.greedy);
  });

  it.each([
    ['llama-rope-llama3', 'rope_scaling', null],
    ['llama-rope-linear-sharded', 'rope_parameters', { rope_theta: 5000 }],
    ['llama-plain', 'rope_theta', 10_500],
    ['llama-bias', 'rms_norm_eps', 1e-5],
    ['gpt2-bare-odd-heads', 'layer_norm_epsilon', 1e-5],
    ['qwen2-yarn', 'rope_scaling', null],
    ['qwen2-window', 'use_sliding_window', false],
    ['qwen3-bias-tied', 'layer_types', ['full_attention', 'sliding_attention']],
    ['mistral-window', 'sliding_window', 8],
    ['phi', 'partial_rotary_factor', 0.75],
    ['phi3-window', 'sliding_window', null],
    ['phi3-longrope', 'original_max_position_embeddings', 512],
    ['gemma3', 'query_pre_attn_scalar', 24],
    ['gemma3-older', 'rope_local_base_freq', 1_000_000],
    ['gemma3-older', 'sliding_window_pattern', 1],
  ] as const)('is moved far beyond rounding by a wrong setting: %s %s', async (name, key, value) => {
    const golden = await readGolden(name);
    const logits = await withCheckpoint(golden.source, (checkpoint) =>
      referenceLogits({ ...checkpoint, config: { ...checkpoint.config, [key]: value } }, golden.tokenIds),
    );
    expect(largestError(logits, golden.logits)).toBeGreaterThan(0.05);
  });

  it('refuses what it cannot compute, by name', async () => {
    const { source } = await readGolden('llama-plain');
    await withCheckpoint(source, async (checkpoint) => {
      const withConfig = (changes: object): Checkpoint => ({
        ...checkpoint,
        config: { ...checkpoint.config, ...changes },
      });
      const tensors = new Map(checkpoint.tensors);
      tensors.delete('model.layers.1.mlp.up_proj.weight');
      await expect(referenceLogits({ ...checkpoint, tensors }, [1])).rejects.toThrow(/layers\.1\.mlp\.up_proj/);
      await expect(referenceLogits(withConfig({ intermediate_size: 96 }), [1])).rejects.toThrow(
        /\[64, 32\].*\[96, 32\]/,
      );
      await expect(referenceLogits(withConfig({ model_type: 'mamba' }), [1])).rejects.toThrow(/"mamba"/);
      const unknown = { rope_type: 'other', factor: 2 };
      await expect(referenceLogits(withConfig({ rope_scaling: unknown }), [1])).rejects.toThrow(/"other"/);
      const halved = { rope_type: 'linear' };
      await expect(referenceLogits(withConfig({ rope_scaling: halved }), [1])).rejects.toThrow(/has no factor/);
      await expect(referenceLogits(checkpoint, [288])).rejects.toThrow(RangeError);
    });
  });
});

/** The shared models are not part of the project: without them these say so by being skipped. */
describe.skipIf(!existsSync(REAL_MODELS))('referenceLogits on real models (needs ../shared/models)', () => {
  it('continues a chat as transformers does', { timeout: 180_000 }, async () => {
    const folder = `${REAL_MODELS}/smollm2-135m-instruct`;
    const truth = JSON.parse(await readFile(`${folder}/greedy-fp32.json`, 'utf8')).prompts[0];
    const expected: number[] = truth.greedy_ids.slice(0, 8);
    const all: number[] = [...truth.prompt_ids, ...expected];
    const logits = await withCheckpoint(`${folder}/model-q4_1.gguf`, (checkpoint) => referenceLogits(checkpoint, all));
    const chosen = logits.slice(truth.prompt_ids.length - 1, -1);
    expect(greedyTokens(chosen)).toEqual(expected);
    chosen.forEach((row, step) => {
      const [second, best] = Float32Array.from(row).sort().slice(-2);
      expect((best ?? 0) - (second ?? 0)).toBeCloseTo(truth.margins[step], 2);
    });
  });

  it('tells the story that llama2.c tells', async () => {
    const story = await readFile(`${REAL_MODELS}/stories260K/expected-greedy-200.txt`, 'utf8');
    await withCheckpoint(`${REAL_MODELS}/stories260K/stories260K.bin`, async (checkpoint) => {
      const tokens = [1];
      for (let step = 0; step < 60; step++) {
        tokens.push(greedyTokens((await referenceLogits(checkpoint, tokens)).slice(-1))[0] ?? 0);
      }
      const { model } = tokenizerSchema.parse(checkpoint.text.tokenizerJson);
      const pieces = new Map(Object.entries(model.vocab).map(([piece, id]) => [id, piece]));
      const text = tokens
        .slice(1)
        .map((id) => pieces.get(id))
        .join('');
      expect(story.startsWith(text.replaceAll('▁', ' ').replaceAll('<0x0A>', '\n').trimStart())).toBe(true);
    });
  });
});
