/**
 * The smallest llama and gpt2 that a GGUF file can hold, for tests: every weight is a number that tells where it came from.
 */
import { f32, type GgufSpec, type GgufTensorSpec, u32, value } from './gguf-bytes.ts';

/** A weight's value is its tensor's number times 1,000 plus its index. */
export function numbered(name: string, number: number, ...dims: number[]): GgufTensorSpec {
  const length = dims.reduce((a, b) => a * b, 1);
  const data = f32(...Array.from({ length }, (_, i) => number * 1000 + i));
  return { name, dims, type: 0, data };
}

/** Q4_1 blocks with d = 1, m = row, and q counting up. */
export function fourBit(name: string, rows: number, columns: number): GgufTensorSpec {
  const blocks: Uint8Array[] = [];
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < columns / 32; block++) {
      // 0x3c00 is 1 as a half; 0x4c00 + 64 * n is 16 + n for n < 16.
      const header = u32((0x4c00 + 64 * row) * 65536 + 0x3c00);
      blocks.push(
        header,
        Uint8Array.from({ length: 16 }, (_, i) => (i + row) % 256),
      );
    }
  }
  return { name, dims: [columns, rows], type: 3, data: Buffer.concat(blocks) };
}

/** Byte-level BPE over the letters a to d: "ab" is one token. */
const TOKENS = ['<s>', '</s>', 'a', 'b', 'c', 'd', 'ab', '<|im_end|>'];

const TEXT_METADATA: GgufSpec['metadata'] = [
  ['tokenizer.ggml.model', value.text('gpt2')],
  ['tokenizer.ggml.pre', value.text('gpt-2')],
  ['tokenizer.ggml.tokens', value.texts(TOKENS)],
  ['tokenizer.ggml.token_type', value.i32s([3, 3, 1, 1, 1, 1, 1, 3])],
  ['tokenizer.ggml.merges', value.texts(['a b'])],
  ['tokenizer.ggml.bos_token_id', value.u32(0)],
  ['tokenizer.ggml.eos_token_id', value.u32(1)],
  ['tokenizer.chat_template', value.text('{{ messages[0].content }}')],
];

/** Hidden 32, 2 heads of 16, 1 key/value head, 1 layer. */
export function tinyLlama(): GgufSpec {
  return {
    metadata: [
      ['general.architecture', value.text('llama')],
      ['llama.block_count', value.u32(1)],
      ['llama.context_length', value.u32(64)],
      ['llama.embedding_length', value.u32(32)],
      ['llama.feed_forward_length', value.u32(48)],
      ['llama.attention.head_count', value.u32(2)],
      ['llama.attention.head_count_kv', value.u32(1)],
      ['llama.attention.layer_norm_rms_epsilon', value.f32(1e-5)],
      ['llama.rope.freq_base', value.f32(100000)],
      ['llama.rope.dimension_count', value.u32(16)],
      ...TEXT_METADATA,
    ],
    tensors: [
      numbered('token_embd.weight', 1, 32, TOKENS.length),
      numbered('output_norm.weight', 2, 32),
      numbered('rope_freqs.weight', 3, 8),
      numbered('blk.0.attn_norm.weight', 4, 32),
      fourBit('blk.0.attn_q.weight', 32, 32),
      numbered('blk.0.attn_q.bias', 5, 32),
      numbered('blk.0.attn_k.weight', 6, 32, 16),
      numbered('blk.0.attn_v.weight', 7, 32, 16),
      numbered('blk.0.ffn_gate.weight', 8, 32, 48),
    ],
  };
}

export function tinyGpt2(): GgufSpec {
  return {
    metadata: [
      ['general.architecture', value.text('gpt2')],
      ['gpt2.block_count', value.u32(1)],
      ['gpt2.context_length', value.u32(16)],
      ['gpt2.embedding_length', value.u32(4)],
      ['gpt2.feed_forward_length', value.u32(16)],
      ['gpt2.attention.head_count', value.u32(2)],
      ['gpt2.attention.layer_norm_epsilon', value.f32(1e-5)],
      ...TEXT_METADATA,
    ],
    tensors: [
      numbered('token_embd.weight', 1, 4, TOKENS.length),
      numbered('position_embd.weight', 2, 4, 16),
      numbered('blk.0.attn_qkv.weight', 3, 4, 12),
      numbered('blk.0.attn_qkv.bias', 4, 12),
      numbered('blk.0.ffn_down.weight', 5, 16, 4),
      numbered('output.weight', 6, 4, TOKENS.length),
    ],
  };
}
