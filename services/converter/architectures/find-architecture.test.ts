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
      const stored = [...checkpoint.tensors.values()]
        // A divisor per rotary pair is a setting, and a tied head's copy is the embedding once more.
        .filter(
          ({ name }) =>
            name !== 'rope_freqs.weight' && !(checkpoint.config.tie_word_embeddings && name === 'lm_head.weight'),
        )
        .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(parameterCount(describeDecoder(checkpoint))).toBe(stored);
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

  it('refuses rotary divisors that are no numbers, or not as many as pairs', async () => {
    await withGolden('gguf-llama-f16', async (checkpoint) => {
      const freqs = checkpoint.tensors.get('rope_freqs.weight');
      if (!freqs) throw new Error('the fixture has rope_freqs');
      const withFreqs = (change: object) =>
        describeDecoder({
          ...checkpoint,
          tensors: new Map(checkpoint.tensors).set(freqs.name, { ...freqs, ...change }),
        });
      const broken = withFreqs({ read: async () => new Float32Array(freqs.shape[0] ?? 0).fill(Number.NaN) });
      await expect(broken.ropes[0]?.tables(64)).rejects.toThrow(/rope_freqs\.weight holds NaN/);
      expect(() => withFreqs({ shape: [3] })).toThrow(/rope_freqs\.weight has shape \[3\]/);
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
