import { expect, it } from 'vitest';
import type { Checkpoint } from '../checkpoint.ts';
import { referenceLogits } from '../parity/reference/reference-logits.ts';
import { openCheckpoint } from '../readers/open-checkpoint.ts';
import { type GoldenName, readGolden } from '../testing/golden.ts';
import { describeDecoder, neededTensors } from './find-architecture.ts';

/** What transformers' configuration classes have where config.json says nothing. */
const DEFAULTS: Partial<Record<GoldenName, Readonly<Record<string, unknown>>>> = {
  'llama-plain': {
    max_position_embeddings: 2048,
    num_key_value_heads: 2,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    attention_bias: false,
    mlp_bias: false,
  },
  'mistral-window': {
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    sliding_window: 4096,
  },
  'qwen2-window': {
    max_position_embeddings: 32_768,
    rms_norm_eps: 1e-6,
    use_sliding_window: false,
    sliding_window: 4096,
    max_window_layers: 28,
  },
  qwen3: { max_position_embeddings: 32_768, head_dim: 128, rms_norm_eps: 1e-6, use_sliding_window: false },
  phi: {
    max_position_embeddings: 2048,
    layer_norm_eps: 1e-5,
    partial_rotary_factor: 0.5,
    tie_word_embeddings: false,
    hidden_act: 'gelu_new',
  },
  'phi3-longrope': { max_position_embeddings: 4096, original_max_position_embeddings: 4096, rms_norm_eps: 1e-5 },
  'gemma3-older': {
    max_position_embeddings: 131_072,
    head_dim: 256,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
    hidden_activation: 'gelu_pytorch_tanh',
    query_pre_attn_scalar: 256,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    sliding_window: 4096,
    sliding_window_pattern: 6,
  },
  gpt2: { n_positions: 1024, n_inner: 128, layer_norm_epsilon: 1e-5, tie_word_embeddings: true },
};

const cases = Object.entries(DEFAULTS).flatMap(([name, defaults]) =>
  Object.entries(defaults).map(([field, value]) => [name as GoldenName, field, value] as const),
);

/** Six layers, for what begins with the sixth; the tensors are those that such a model would have. */
async function description(checkpoint: Checkpoint, changes: object) {
  const six = checkpoint.config.model_type === 'gpt2' ? { n_layer: 6 } : { num_hidden_layers: 6 };
  const config = { ...checkpoint.config, ...six, ...changes };
  const tensors = new Map(neededTensors({ ...checkpoint, config }, () => false));
  const spec = describeDecoder({ ...checkpoint, config, tensors });
  const tables = await Promise.all(spec.ropes.map((rope) => rope.tables(3)));
  return { tables, about: spec.ropes.map((rope) => rope.describe(spec.contextLength)), ...numbersOf(spec), tensors };
}

/** What is said, without what is read. */
function numbersOf(spec: object): object {
  return JSON.parse(JSON.stringify(spec));
}

it.each(cases)('%s without %s is one with %j', async (name, field, value) => {
  const checkpoint = await openCheckpoint((await readGolden(name)).source);
  try {
    const said = await description(checkpoint, { [field]: value });
    const unsaid = await description(checkpoint, { [field]: undefined });
    expect(unsaid).toEqual({ ...said, tensors: expect.any(Map) });
    expect([...unsaid.tensors.keys()]).toEqual([...said.tensors.keys()]);

    // The forward pass that conversions are judged by has the same, where its tensors can stay what they are.
    const logits = (given: unknown) =>
      referenceLogits({ ...checkpoint, config: { ...checkpoint.config, [field]: given } }, [1, 2, 3, 4, 5, 6, 7, 8]);
    const own = await logits(value).catch(() => null);
    if (own) expect(await logits(undefined)).toEqual(own);
  } finally {
    await checkpoint.close();
  }
});
