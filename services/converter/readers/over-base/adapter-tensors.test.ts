import { describe, expect, it } from 'vitest';
import { sortAdapterTensors } from './adapter-tensors.ts';

const MODULE = 'base_model.model.model.layers.0.self_attn.q_proj';

function sort(...names: string[]) {
  const tensor = (name: string) => ({ name, shape: [1], dtype: 'F32', read: async () => new Float32Array(1) });
  return sortAdapterTensors(new Map(names.map((name) => [name, tensor(name)])), 'adapter_model.safetensors');
}

describe('the tensors of an adapter', () => {
  it('are factors by module, with or without the adapter’s own name', () => {
    for (const own of ['', '.default']) {
      const { factors, whole } = sort(
        `${MODULE}.lora_A${own}.weight`,
        `${MODULE}.lora_B${own}.weight`,
        `${MODULE}.lora_magnitude_vector${own}`,
      );
      expect([...factors.keys(), whole.size]).toEqual([MODULE, 0]);
      expect(factors.get(MODULE)).toMatchObject({ kind: 'linear', magnitude: { shape: [1] }, biasB: null });
    }
  });

  it('are whole tensors under their own names', () => {
    const { whole } = sort(
      'base_model.model.lm_head.weight',
      'model.embed_tokens.base_layer.weight',
      'score.modules_to_save.bias',
    );
    expect([...whole.keys()]).toEqual(['base_model.model.lm_head.weight', 'model.embed_tokens.weight', 'score.bias']);
  });

  it.each([
    [[`${MODULE}.lora_A.weight`], /q_proj\.lora_B\.weight is missing, lora_A\.weight of that module is there/],
    [[`${MODULE}.lora_B.weight`], /q_proj\.lora_A\.weight is missing, lora_B\.weight/],
    [[`${MODULE}.lora_magnitude_vector`], /q_proj\.lora_A\.weight is missing, the rest/],
    [['model.embed_tokens.lora_embedding_B'], /embed_tokens\.lora_embedding_A is missing/],
    [['model.embed_tokens.lora_embedding_B', 'model.embed_tokens.lora_A.weight'], /both as a linear layer and/],
    [[`${MODULE}.lora_diag`], /what the tensor \S+lora_diag does .* merge_and_unload/],
    [['model.embed_tokens.token_adapter.trainable_tokens_delta'], /token_adapter/],
    [['lm_head.weight', 'lm_head.base_layer.weight'], /two tensors are lm_head\.weight/],
  ])('%j are refused', (names, message) => {
    expect(() => sort(...names)).toThrow(message);
  });
});
