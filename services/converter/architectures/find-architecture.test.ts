import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Checkpoint, SourceTensor } from '../checkpoint.ts';
import { referenceLogits } from '../parity/reference/reference-logits.ts';
import { openCheckpoint } from '../readers/open-checkpoint.ts';
import { GOLDEN_FOLDERS, GOLDEN_GGUFS, type GoldenName, largestError, readGolden } from '../testing/golden.ts';
import { describePositions, parameterCount } from './decoder-spec.ts';
import { describeDecoder, neededTensors } from './find-architecture.ts';

/**
 * config.json of models on the Hugging Face hub and their number of weights, counted by transformers on the meta device. Longrope's
 * factors are stand-ins of the right length.
 */
const Published = z.array(
  z.object({ name: z.string(), parameters: z.number(), config: z.record(z.string(), z.unknown()) }),
);

async function withGolden<T>(name: GoldenName, use: (checkpoint: Checkpoint) => T | Promise<T>): Promise<T> {
  const checkpoint = await openCheckpoint((await readGolden(name)).source);
  try {
    return await use(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

function without({ tensors }: Checkpoint, name: string): Checkpoint['tensors'] {
  const left = new Map(tensors);
  if (!left.delete(name)) throw new Error(`there is no ${name}`);
  return left;
}

function tensorOf({ tensors, label }: Checkpoint, name: string): SourceTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`${label} has no ${name}`);
  return tensor;
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

  it.each(['mamba', null, 'constructor', '__proto__', '../x'])('says how to add %s', async (type) => {
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
      expect(() => changed(checkpoint, { model_type: undefined })).toThrow(/has no model_type/);
      expect(() => changed(checkpoint, { num_attention_heads: 3 })).toThrow(
        /3 heads do not divide a hidden size of 32/,
      );
      expect(() => changed(checkpoint, { num_key_value_heads: 3 })).toThrow(/3 key\/value heads do not divide 2 heads/);
      expect(() => changed(checkpoint, { head_dim: 5 })).toThrow(
        /5 of 5 numbers of a head would be turned, which are no pairs/,
      );
      expect(() => changed(checkpoint, { hidden_act: 'relu' })).toThrow(
        /not that of a supported llama model: hidden_act/,
      );
    });
  });

  it('takes an absent head for a tied one, unless the configuration says that it is not', async () => {
    await withGolden('llama-plain', (checkpoint) => {
      const { tie_word_embeddings: said, ...config } = checkpoint.config;
      expect(said).toBe(false);
      const tensors = without(checkpoint, 'lm_head.weight');
      expect(describeDecoder({ ...checkpoint, config, tensors }).head).toBeNull();
      expect(describeDecoder({ ...checkpoint, config }).head).not.toBeNull();
      expect(() => describeDecoder({ ...checkpoint, tensors })).toThrow(/lm_head\.weight \[288,32\] is missing/);
    });
  });

  it('refuses weights that were quantized before, saying what to take', async () => {
    await withGolden('llama-plain', (checkpoint) => {
      const gptq = { quantization_config: { quant_method: 'gptq', bits: 4 } };
      expect(() => changed(checkpoint, gptq)).toThrow(/has a quantization_config: .* Take the model/);
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

describe('published configurations', () => {
  it('give the number of parameters that the models have', async () => {
    const file = new URL('fixtures/published-configs.json', import.meta.url);
    const published = Published.parse(JSON.parse(await readFile(file, 'utf8')));
    expect(published.length).toBeGreaterThan(10);
    await withGolden('llama-plain', (checkpoint) => {
      for (const { name, parameters, config } of published) {
        const needed = neededTensors({ ...checkpoint, config }, () => false);
        const spec = describeDecoder({ ...checkpoint, config, tensors: new Map(needed) });
        expect([name, parameterCount(spec)]).toEqual([name, parameters]);
      }
    });
  });
});

describe('what a configuration asks for', () => {
  it.each<[GoldenName, string]>([
    ['llama-bias', 'model.layers.1.self_attn.o_proj.bias'],
    ['llama-bias', 'model.layers.0.mlp.up_proj.bias'],
    ['qwen2-yarn', 'model.layers.1.self_attn.k_proj.bias'],
    ['qwen3-bias-tied', 'model.layers.0.self_attn.q_proj.bias'],
    ['phi', 'model.layers.1.mlp.fc1.bias'],
    ['phi', 'lm_head.bias'],
    ['gpt2', 'transformer.h.0.attn.c_attn.bias'],
  ])('must be there, biases too: %s without %s', async (name, tensor) => {
    await withGolden(name, async (checkpoint) => {
      const tensors = without(checkpoint, tensor);
      expect(() => describeDecoder({ ...checkpoint, tensors })).toThrow(`the tensor ${tensor} [`);
      await expect(referenceLogits({ ...checkpoint, tensors }, [1, 2])).rejects.toThrow(tensor);
    });
  });

  it('is no bias that is there by chance, unless an adapter put it there', async () => {
    await withGolden('llama-bias', (checkpoint) => {
      const config = { ...checkpoint.config, mlp_bias: false };
      expect(() => describeDecoder({ ...checkpoint, config })).toThrow(
        /there is a model\.layers\.0\.mlp\.gate_proj\.bias, but no bias is asked for .* say so in config\.json/,
      );
      expect(describeDecoder({ ...checkpoint, config, kind: 'peft-adapter' }).layers[0]?.up.bias).not.toBeNull();
    });
  });

  it.each<[GoldenName, string]>([
    ['gpt2-dialogpt', 'transformer.wte.weight'],
    ['llama-grouped-tied', 'model.embed_tokens.weight'],
  ])('is one matrix where a head is tied and stored all the same: %s', async (name, embedding) => {
    await withGolden(name, async (checkpoint) => {
      const own = tensorOf(checkpoint, embedding);
      const withHead = (change: number) => {
        const read = async () => (await own.read()).map((value, index) => (index === 7 ? value + change : value));
        const tensors = new Map(checkpoint.tensors).set('lm_head.weight', { ...own, name: 'lm_head.weight', read });
        return describeDecoder({ ...checkpoint, tensors });
      };
      const same = withHead(0);
      expect(same.head).toBeNull();
      expect(await same.embedding.read()).toEqual(await own.read());
      await expect(withHead(0.5).embedding.read()).rejects.toThrow(
        `ties the head to the embedding, but lm_head.weight holds other values than ${embedding}. Set`,
      );
    });
  });

  it('is a head of its own where a GPT-2 is not tied, the embedding where a Phi is', async () => {
    const scaled = (tensor: SourceTensor, name: string, factor: number): SourceTensor => {
      const read = async () => (await tensor.read()).map((value) => value * factor);
      return { name, shape: tensor.shape, dtype: tensor.dtype, read };
    };
    await withGolden('gpt2', async (checkpoint) => {
      const head = scaled(tensorOf(checkpoint, 'transformer.wte.weight'), 'lm_head.weight', 2);
      const tensors = new Map(checkpoint.tensors).set(head.name, head);
      const untied = { ...checkpoint, tensors, config: { ...checkpoint.config, tie_word_embeddings: false } };
      expect(await describeDecoder(untied).head?.weight.read()).toEqual(await head.read());
      const [twice, once] = [await referenceLogits(untied, [1, 2]), await referenceLogits(checkpoint, [1, 2])];
      expect(largestError(twice, [...once.map((row) => row.map((value) => 2 * value))])).toBeLessThan(1e-4);
    });
    await withGolden('phi', async (checkpoint) => {
      const copy = scaled(tensorOf(checkpoint, 'model.embed_tokens.weight'), 'lm_head.weight', 1);
      const tensors = new Map(checkpoint.tensors).set(copy.name, copy);
      const tied = { ...checkpoint, tensors, config: { ...checkpoint.config, tie_word_embeddings: true } };
      expect(await describeDecoder(tied).head?.weight.read()).toEqual(await copy.read());
      const bare = { ...tied, tensors: without(tied, 'lm_head.weight') };
      expect(await referenceLogits(bare, [1, 2])).toEqual(await referenceLogits({ ...checkpoint, tensors }, [1, 2]));
      expect(describeDecoder(bare).head?.bias).not.toBeNull();
    });
  });

  it('is longrope where the first files of Phi-3 say yarn or su', async () => {
    await withGolden('phi3-longrope', async (checkpoint) => {
      const { rope_scaling: scaling } = z.object({ rope_scaling: z.looseObject({}) }).parse(checkpoint.config);
      for (const type of ['yarn', 'su']) {
        const named = { rope_scaling: { ...scaling, type } };
        expect(describePositions(changed(checkpoint, named))).toBe(describePositions(describeDecoder(checkpoint)));
        const config = { ...checkpoint.config, ...named };
        expect(await referenceLogits({ ...checkpoint, config }, [1, 2])).toEqual(
          await referenceLogits(checkpoint, [1, 2]),
        );
      }
    });
  });

  it('is the older of two rotary settings, as transformers has it', async () => {
    await withGolden('llama-plain', async (checkpoint) => {
      const older = { rope_scaling: { rope_type: 'linear', factor: 4, rope_theta: 500 } };
      const both = { ...older, rope_parameters: { rope_type: 'default', rope_theta: 10_000 } };
      expect(describePositions(changed(checkpoint, both))).toBe('rotary: base 500, linear by 4');
      const logits = (changes: object) =>
        referenceLogits({ ...checkpoint, config: { ...checkpoint.config, ...changes } }, [1, 2, 3]);
      expect(await logits(both)).toEqual(await logits(older));
    });
  });

  it('is, of the layers of a Mistral, what layer_types says', async () => {
    await withGolden('mistral-window', async (checkpoint) => {
      const named = { layer_types: ['full_attention', 'sliding_attention'] };
      expect(changed(checkpoint, named).layers.map(({ window }) => window)).toEqual([null, 7]);
      const full = { layer_types: ['full_attention', 'full_attention'] };
      const logits = (changes: object) =>
        referenceLogits({ ...checkpoint, config: { ...checkpoint.config, ...changes } }, [...Array(12).keys()]);
      expect(await logits(full)).toEqual(await logits({ sliding_window: null }));
      expect(await logits(named)).not.toEqual(await logits(full));
    });
  });
});

describe('families that a checkpoint may almost be', () => {
  it.each<[GoldenName, object, RegExp]>([
    ['phi', { qk_layernorm: true }, /supported phi model: qk_layernorm/],
    ['phi', { hidden_act: 'gelu' }, /hidden_act/],
    ['phi', { partial_rotary_factor: 0.01 }, /0 of 16 numbers of a head would be turned/],
    ['gemma3', { final_logit_softcapping: 30 }, /supported gemma3_text model: final_logit_softcapping/],
    ['gemma3', { attn_logit_softcapping: 50 }, /attn_logit_softcapping/],
    ['gemma3', { use_bidirectional_attention: true }, /use_bidirectional_attention/],
    ['gemma3', { layer_types: ['chunked_attention'] }, /layer_types/],
    ['phi3-window', { hidden_act: 'gelu' }, /hidden_act/],
    ['qwen3', { head_dim: 23 }, /23 of 23 numbers of a head would be turned/],
    ['mistral-window', { sliding_window: 0 }, /sliding_window/],
    ['mistral-window', { layer_types: ['full_attention'] }, /layer_types: must name each of the num_hidden_layers/],
    ['gemma3', { layer_types: ['full_attention'] }, /layer_types: must name each/],
    ['qwen2-window', { layer_types: [] }, /layer_types: must name each/],
    ['qwen3', { layer_types: ['full_attention'] }, /layer_types: must name each/],
    ['qwen3', { partial_rotary_factor: 0.5 }, /turns 12 of 24 numbers of a head; a qwen3 turns all/],
    ['llama-plain', { rope_scaling: { rope_type: 'default', partial_rotary_factor: 0.5 } }, /turns 8 of 16/],
  ])('%s with %j is refused by name', async (name, changes, message) => {
    await withGolden(name, (checkpoint) => {
      expect(() => changed(checkpoint, changes)).toThrow(message);
    });
  });

  it('say how positions are told apart', async () => {
    const about = (name: GoldenName) =>
      withGolden(name, (checkpoint) => describePositions(describeDecoder(checkpoint)));
    expect(await about('gpt2')).toBe('learned');
    expect(await about('mistral-window')).toBe('rotary: base 10000; windows of 7');
    expect(await about('gemma3')).toBe('rotary: base 5000, linear by 4; base 100; windows of 6');
    expect(await about('phi3-longrope')).toMatch(
      /longrope with its long factors \(256 positions served, 16 original\)/,
    );
    expect(await about('phi-odd-heads')).toBe('rotary: base 10000, 8 of 20 numbers of a head turned');
  });
});
