import { describe, expect, it, onTestFinished } from 'vitest';
import { referenceLogits } from '../../parity/reference/reference-logits.ts';
import { largestError } from '../../testing/golden.ts';
import { openCheckpoint } from '../open-checkpoint.ts';
import { ADAPTERS, readAdapter } from './testing/adapter-fixtures.ts';

async function open(path: string, base?: string) {
  const checkpoint = await openCheckpoint(path, base);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

describe('an adapter over its base', () => {
  it.each(ADAPTERS)('%s is the model that peft makes of it', async (name) => {
    const golden = await readAdapter(name);
    const checkpoint = await open(golden.folder);
    const logits = await referenceLogits(checkpoint, golden.token_ids);
    expect(largestError(logits, golden.logits)).toBeLessThan(1e-4);
    for (const [tensor, { shape, sum, wave }] of Object.entries(golden.tensors)) {
      const mine = checkpoint.tensors.get(tensor);
      // A tied head is not stored.
      if (!mine && tensor === 'lm_head.weight') continue;
      expect([tensor, mine?.shape]).toEqual([tensor, shape]);
      const values = (await mine?.read()) ?? new Float32Array();
      const total = values.reduce((all, value) => all + value, 0);
      const waved = values.reduce((all, value, index) => all + value * Math.sin(index * 0.7 + 0.3), 0);
      expect([tensor, Math.abs(total - sum) < 2e-4, Math.abs(waved - wave) < 2e-4]).toEqual([tensor, true, true]);
    }
  });
});
