import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../checkpoint.ts';
import { openCheckpoint } from '../readers/open-checkpoint.ts';
import { GOLDEN_FOLDERS, GOLDEN_GGUFS, type GoldenName, readGolden } from '../testing/golden.ts';
import { parameterCount } from './decoder-spec.ts';
import { describeDecoder } from './find-architecture.ts';

async function withGolden<T>(name: GoldenName, use: (checkpoint: Checkpoint) => T | Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint((await readGolden(name)).source);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** A checkpoint's description with some of its configuration changed. */
const changed = (checkpoint: Checkpoint, changes: object) =>
  describeDecoder({ ...checkpoint, config: { ...checkpoint.config, ...changes } });

describe('describeDecoder', () => {
  it.each([...GOLDEN_FOLDERS, ...GOLDEN_GGUFS])('counts the parameters that %s stores', async (name) => {
    await withGolden(name, (checkpoint) => {
      const spec = describeDecoder(checkpoint);
      const stored = [...checkpoint.tensors.values()]
        // Masks and a divisor per rotary pair are settings, and a tied head's copy is the embedding once more.
        .filter(({ name }) => !/^rope_freqs\.weight$|\.attn\.(masked_)?bias$/.test(name))
        .filter(({ name }) => spec.head !== null || name !== 'lm_head.weight')
        .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(parameterCount(spec)).toBe(stored);
    });
  });

  it.each(['mamba', undefined, 'constructor', '__proto__', '../x'])('says how to add %s', async (type) => {
    await withGolden('llama-plain', (checkpoint) => {
      expect(() => changed(checkpoint, { model_type: type })).toThrow(
        expect.objectContaining({
          code: 'unsupported_source',
          message: expect.stringMatching(
            /"\S+" is not known; there are [\w, -]*gpt2, llama, [\w, -]+\. To add it, write services\/converter\/architectures\/[\w-]+\.ts and name it in find-architecture\.ts/,
          ),
        }),
      );
    });
  });
});

describe('llama', () => {
  it('refuses sizes that do not fit, saying which', async () => {
    await withGolden('llama-plain', (checkpoint) => {
      expect(() => changed(checkpoint, { num_attention_heads: 3 })).toThrow(/3 heads of 10\.66.* hidden size of 32/);
      expect(() => changed(checkpoint, { num_key_value_heads: 3 })).toThrow(/over 3 key\/value heads/);
      expect(() => changed(checkpoint, { head_dim: 5 })).toThrow(/heads of 5/);
      expect(() => changed(checkpoint, { hidden_act: 'relu' })).toThrow(
        /not that of a supported llama model: hidden_act/,
      );
    });
  });

  it('takes an absent head for a tied one, whatever the configuration says', async () => {
    await withGolden('llama-plain', (checkpoint) => {
      const tensors = new Map(checkpoint.tensors);
      tensors.delete('lm_head.weight');
      expect(describeDecoder({ ...checkpoint, tensors }).head).toBeNull();
      expect(describeDecoder(checkpoint).head).not.toBeNull();
    });
  });
});

describe('gpt2', () => {
  it('refuses heads that do not divide the width, and variants it does not compute', async () => {
    await withGolden('gpt2', (checkpoint) => {
      expect(() => changed(checkpoint, { n_head: 7 })).toThrow(/7 heads do not divide a hidden size of/);
      for (const variant of [
        { scale_attn_by_inverse_layer_idx: true },
        { activation_function: 'relu' },
        { n_embd: 0 },
      ]) {
        expect(() => changed(checkpoint, variant)).toThrow(Object.keys(variant)[0]);
      }
    });
  });
});
