/**
 * The Hugging Face config.json of a model that begins from nothing, from the sizes a recipe gives. Pure.
 */
import type { Scratch } from '@slipway/shared/contracts/recipe.ts';

export interface ScratchText {
  readonly vocabularySize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}

type Gated = Extract<Scratch, { family: 'llama' | 'qwen3' }>;

export function scratchConfig(scratch: Scratch, text: ScratchText): Record<string, unknown> {
  const ids = { bos_token_id: text.bosTokenId, eos_token_id: text.eosTokenIds[0] ?? null };
  switch (scratch.family) {
    case 'gpt2':
      return {
        model_type: 'gpt2',
        architectures: ['GPT2LMHeadModel'],
        vocab_size: text.vocabularySize,
        n_positions: scratch.context_length,
        n_embd: scratch.hidden_size,
        n_layer: scratch.layers,
        n_head: scratch.heads,
        resid_pdrop: scratch.dropout,
        embd_pdrop: scratch.dropout,
        attn_pdrop: scratch.dropout,
        ...ids,
      };
    case 'llama':
      return { ...gated(scratch, text), model_type: 'llama', architectures: ['LlamaForCausalLM'], ...ids };
    case 'qwen3':
      return {
        ...gated(scratch, text),
        model_type: 'qwen3',
        architectures: ['Qwen3ForCausalLM'],
        head_dim: scratch.hidden_size / scratch.heads,
        ...ids,
      };
    case 'char-lstm':
      return {
        model_type: 'char-lstm',
        vocab_size: text.vocabularySize,
        embedding_size: scratch.embedding_size,
        hidden_size: scratch.hidden_size,
        num_layers: scratch.layers,
        dropout: scratch.dropout,
        bias: true,
        tie_word_embeddings: false,
      };
  }
}

function gated(scratch: Gated, { vocabularySize }: ScratchText): Record<string, unknown> {
  return {
    vocab_size: vocabularySize,
    max_position_embeddings: scratch.context_length,
    hidden_size: scratch.hidden_size,
    intermediate_size: scratch.intermediate_size ?? 64 * Math.ceil(((8 / 3) * scratch.hidden_size) / 64),
    num_hidden_layers: scratch.layers,
    num_attention_heads: scratch.heads,
    num_key_value_heads: scratch.kv_heads ?? scratch.heads,
    rope_parameters: { rope_type: 'default', rope_theta: scratch.rope_theta },
    tie_word_embeddings: scratch.tie_embeddings,
  };
}
