import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Checkpoint, SourceTensor } from '../../checkpoint.ts';
import { GOLDEN_FOLDERS, largestError, readGolden } from '../../testing/golden.ts';
import { referenceLogits } from './reference-logits.ts';

async function openFolder(folder: string): Promise<Checkpoint> {
  const tensors = new Map<string, SourceTensor>();
  for (const file of await readdir(folder)) {
    if (!file.endsWith('.safetensors')) continue;
    const bytes = await readFile(join(folder, file));
    const headerLength = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + headerLength).toString());
    for (const [name, info] of Object.entries<{ dtype: string; shape: number[]; data_offsets: [number, number] }>(
      header,
    )) {
      if (name === '__metadata__') continue;
      const [from, to] = info.data_offsets;
      const data = bytes.subarray(8 + headerLength + from, 8 + headerLength + to);
      tensors.set(name, { name, shape: info.shape, dtype: info.dtype, read: async () => toFloat32(data, info.dtype) });
    }
  }
  return {
    kind: 'hugging-face-folder',
    label: basename(folder),
    files: [],
    config: JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')),
    tensors,
    text: {
      tokenizerJson: {},
      tokenizerConfig: {},
      chatTemplate: null,
      bosTokenId: null,
      eosTokenIds: [],
      addBos: false,
    },
    close: async () => {},
  };
}

function toFloat32(data: Buffer, dtype: string): Float32Array {
  const own = new Uint8Array(data).buffer;
  if (dtype === 'F32') return new Float32Array(own);
  if (dtype === 'F16') return Float32Array.from(new Float16Array(own));
  return new Float32Array(Uint32Array.from(new Uint16Array(own), (bits) => bits << 16).buffer);
}

describe('referenceLogits', () => {
  it.each([...GOLDEN_FOLDERS])('computes what PyTorch computed: %s', async (name) => {
    const golden = await readGolden(name);
    const checkpoint = await openFolder(golden.source);
    const all = [...golden.tokenIds, ...golden.greedy];
    const logits = await referenceLogits(checkpoint, all);
    expect(largestError(logits.slice(0, golden.tokenIds.length), golden.logits)).toBeLessThan(1e-4);
    // Fed its own continuation, every position must choose the next token of it.
    const chosen = logits.slice(golden.tokenIds.length - 1, -1).map((row) => row.indexOf(Math.max(...row)));
    expect(chosen).toEqual(golden.greedy);
  });

  it.each([
    ['llama-rope-llama3', 'rope_scaling', null],
    ['llama-rope-linear-sharded', 'rope_parameters', { rope_theta: 5000 }],
    ['llama-plain', 'rope_theta', 10_500],
    ['llama-bias', 'rms_norm_eps', 1e-5],
    ['gpt2-bare-odd-heads', 'layer_norm_epsilon', 1e-5],
  ] as const)('is moved far beyond rounding by a wrong setting: %s %s', async (name, key, value) => {
    const golden = await readGolden(name);
    const checkpoint = await openFolder(golden.source);
    const wrong = { ...checkpoint, config: { ...checkpoint.config, [key]: value } };
    expect(largestError(await referenceLogits(wrong, golden.tokenIds), golden.logits)).toBeGreaterThan(0.05);
  });

  it('refuses what it cannot compute, by name', async () => {
    const { source } = await readGolden('llama-plain');
    const checkpoint = await openFolder(source);
    const missing = new Map(checkpoint.tensors);
    missing.delete('model.layers.1.mlp.up_proj.weight');
    await expect(referenceLogits({ ...checkpoint, tensors: missing }, [1])).rejects.toThrow(/layers\.1\.mlp\.up_proj/);
    const wider = { ...checkpoint, config: { ...checkpoint.config, intermediate_size: 96 } };
    await expect(referenceLogits(wider, [1])).rejects.toThrow(/\[64, 32\].*\[96, 32\]/);
    const other = { ...checkpoint, config: { ...checkpoint.config, model_type: 'mamba' } };
    await expect(referenceLogits(other, [1])).rejects.toThrow(/"mamba"/);
    const yarn = { ...checkpoint, config: { ...checkpoint.config, rope_scaling: { rope_type: 'yarn', factor: 2 } } };
    await expect(referenceLogits(yarn, [1])).rejects.toThrow(/"yarn"/);
    await expect(referenceLogits(checkpoint, [288])).rejects.toThrow(RangeError);
  });
});
