import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, test } from 'vitest';
import { llama3Frequency, plainFrequencies } from '../architectures/rope-scaling.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { openGguf } from './gguf-checkpoint.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { transposed } from './rearrange.ts';
import { f32, type GgufSpec, ggufBytes, u32, u64, value } from './testing/gguf-bytes.ts';
import { scratchFolder } from './testing/scratch.ts';
import { fourBit, numbered, tinyGpt2, tinyLlama } from './testing/tiny-gguf.ts';

const SHARED = join(import.meta.dirname, '../../../../shared');

async function withFile<T>(bytes: Uint8Array, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await scratchFolder({ 'model.gguf': bytes });
  return use(join(folder, 'model.gguf'));
}

async function withCheckpoint(spec: GgufSpec, use: (checkpoint: Checkpoint) => Promise<void>): Promise<void> {
  await withFile(ggufBytes(spec), async (path) => {
    const checkpoint = await openCheckpoint(path);
    try {
      await use(checkpoint);
    } finally {
      await checkpoint.close();
    }
  });
}

function tensor(checkpoint: Checkpoint, name: string) {
  const found = checkpoint.tensors.get(name);
  if (!found) throw new Error(`no ${name} among ${[...checkpoint.tensors.keys()]}`);
  return found;
}

/** llama.cpp's conversion, `permute`: row 2i+j of a head is Hugging Face's row j*d/2+i. */
function interleaved(head: number): number[] {
  return Array.from({ length: head }, (_, row) => (row % 2) * (head / 2) + Math.floor(row / 2));
}

describe('a llama', () => {
  test('is told in Hugging Face’s words', () =>
    withCheckpoint(tinyLlama(), async (checkpoint) => {
      expect(checkpoint).toMatchObject({ kind: 'gguf', label: 'model.gguf' });
      expect(checkpoint.config).toMatchObject({
        model_type: 'llama',
        hidden_size: 32,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        head_dim: 16,
        intermediate_size: 48,
        vocab_size: 8,
        max_position_embeddings: 64,
        rms_norm_eps: 1e-5,
        rope_theta: 100000,
        rope_scaling: null,
        attention_bias: true,
        mlp_bias: false,
        tie_word_embeddings: true,
      });
      expect([...checkpoint.tensors.keys()]).toEqual([
        'model.embed_tokens.weight',
        'model.norm.weight',
        'rope_freqs.weight',
        'model.layers.0.input_layernorm.weight',
        'model.layers.0.self_attn.q_proj.weight',
        'model.layers.0.self_attn.q_proj.bias',
        'model.layers.0.self_attn.k_proj.weight',
        'model.layers.0.self_attn.v_proj.weight',
        'model.layers.0.mlp.gate_proj.weight',
      ]);
      expect(tensor(checkpoint, 'model.layers.0.mlp.gate_proj.weight').shape).toEqual([48, 32]);
    }));

  test('has its rotary rows in Hugging Face’s order, weights, biases and blocks alike; the others stay', () =>
    withCheckpoint(tinyLlama(), async (checkpoint) => {
      const bias = await tensor(checkpoint, 'model.layers.0.self_attn.q_proj.bias').read();
      for (const head of [0, 1]) {
        for (const [row, from] of interleaved(16).entries()) {
          expect(bias[head * 16 + from]).toBe(5000 + head * 16 + row);
        }
      }
      const key = await tensor(checkpoint, 'model.layers.0.self_attn.k_proj.weight').read();
      for (const [row, from] of interleaved(16).entries()) expect(key[from * 32]).toBe(6000 + row * 32);
      const valueRows = await tensor(checkpoint, 'model.layers.0.self_attn.v_proj.weight').read();
      expect(valueRows[32]).toBe(7032);

      const query = tensor(checkpoint, 'model.layers.0.self_attn.q_proj.weight');
      const floats = await query.read();
      const blocks = await query.readBlocks?.();
      expect(query.dtype).toBe('Q4_1');
      expect(blocks).toBeDefined();
      if (!blocks) return;
      const made = Float32Array.from(
        blocks.q,
        (q, i) => (blocks.scales[i >> 5] ?? 0) * q + (blocks.minimums[i >> 5] ?? 0),
      );
      expect(made).toEqual(floats);
      for (const [row, from] of interleaved(16).entries()) expect(blocks.minimums[from]).toBe(16 + row);
    }));

  test('brings its tokenizer, template and endings', () =>
    withCheckpoint(tinyLlama(), async ({ text }) => {
      const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
      expect(tokenizer.encode('abcab</s>', { addBos: true, parseSpecial: true })).toEqual([6, 4, 6, 1]);
      expect(text).toMatchObject({
        bosTokenId: 0,
        eosTokenIds: [1, 7],
        addBos: false,
        chatTemplate: '{{ messages[0].content }}',
      });
    }));
});

test('a gpt2 has its convolutions as Hugging Face holds them, [in, out]', () =>
  withCheckpoint(tinyGpt2(), async (checkpoint) => {
    expect(checkpoint.config).toMatchObject({
      model_type: 'gpt2',
      n_embd: 4,
      n_layer: 1,
      n_head: 2,
      n_positions: 16,
      vocab_size: 8,
      layer_norm_epsilon: 1e-5,
      tie_word_embeddings: false,
    });
    const attention = tensor(checkpoint, 'transformer.h.0.attn.c_attn.weight');
    expect(attention.shape).toEqual([4, 12]);
    expect([...(await attention.read()).slice(0, 3)]).toEqual([3000, 3004, 3008]);
    expect(tensor(checkpoint, 'transformer.h.0.mlp.c_proj.weight').shape).toEqual([16, 4]);
    const bias = await tensor(checkpoint, 'transformer.h.0.attn.c_attn.bias').read();
    expect([...bias.slice(0, 2)]).toEqual([4000, 4001]);
    expect((await tensor(checkpoint, 'lm_head.weight').read())[1]).toBe(6001);
  }));

test('a 4-bit gpt2 hands out its blocks as they are stored, [out, in]', () => {
  const spec = tinyGpt2();
  const wide = fourBit('blk.0.attn_qkv.weight', 96, 32);
  const tensors = spec.tensors.map((stored) => (stored.name === wide.name ? wide : stored));
  return withCheckpoint({ ...spec, tensors }, async (checkpoint) => {
    const attention = tensor(checkpoint, 'transformer.h.0.attn.c_attn.weight');
    expect([attention.shape, attention.transposed?.shape]).toEqual([
      [32, 96],
      [96, 32],
    ]);
    const blocks = await attention.transposed?.readBlocks?.();
    expect(blocks?.minimums.slice(0, 3)).toEqual(Float32Array.of(16, 17, 18));
    const [floats, stored] = await Promise.all([attention.read(), attention.transposed?.read()]);
    expect(transposed(floats, 32, 96)).toEqual(stored);
  });
});

describe('rotary divisors', () => {
  const scaling = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 40 };
  const llama3 = [...plainFrequencies(100_000, 16)].map((frequency) => frequency / llama3Frequency(frequency, scaling));
  const withDivisors = (divisors: readonly number[]) => {
    const spec = tinyLlama();
    const tensors = spec.tensors.map((stored) =>
      stored.name === 'rope_freqs.weight' ? { ...stored, data: f32(...divisors) } : stored,
    );
    return { ...spec, tensors };
  };

  test('that are those of a Llama 3 become its scaling', () =>
    withCheckpoint(withDivisors(llama3), async (checkpoint) => {
      expect(checkpoint.tensors.has('rope_freqs.weight')).toBe(false);
      expect(checkpoint.config.rope_scaling).toEqual({ rope_type: 'llama3', ...scaling });
    }));

  test('that nothing explains stay a tensor', () =>
    withCheckpoint(withDivisors(llama3.with(3, 2)), async (checkpoint) => {
      expect(checkpoint.tensors.has('rope_freqs.weight')).toBe(true);
      expect(checkpoint.config.rope_scaling).toBeNull();
    }));
});

describe('hostile files', () => {
  const llama = tinyLlama();
  const withMetadata = (...entries: [string, Uint8Array][]): GgufSpec => ({
    ...llama,
    metadata: [...llama.metadata, ...entries],
  });
  const withTensor = (...tensors: GgufSpec['tensors'][number][]): GgufSpec => ({
    ...llama,
    tensors: [...llama.tensors, ...tensors],
  });
  const replaced = (key: string, encoded: Uint8Array): GgufSpec => ({
    ...llama,
    metadata: llama.metadata.map((entry) => (entry[0] === key ? [key, encoded] : entry)),
  });
  const small = numbered('extra.weight', 9, 32);
  const nested = (depth: number): Buffer =>
    depth === 0 ? Buffer.concat([u32(0), u64(0)]) : Buffer.concat([u32(9), u64(1), nested(depth - 1)]);

  test.each<[string, GgufSpec, string, RegExp]>([
    ['version 1', { ...llama, version: 1 }, 'unsupported_source', /version 1/],
    ['big-endian', { ...llama, version: 0x03000000 }, 'unsupported_source', /big-endian/],
    [
      'more tensors than there are',
      { ...llama, tensorCount: 60_000n },
      'invalid_source',
      /truncated|claims|dimensions/,
    ],
    ['a negative count of tensors', { ...llama, tensorCount: 2n ** 64n - 1n }, 'invalid_source', /impossible/],
    ['a negative count of metadata', { ...llama, metadataCount: 2n ** 64n - 5n }, 'invalid_source', /impossible/],
    ['countless tensors', { ...llama, tensorCount: 2n ** 62n }, 'invalid_source', /impossible/],
    ['countless metadata', { ...llama, metadataCount: 2n ** 40n }, 'invalid_source', /claims .* metadata/],
    ['a key twice', withMetadata(['general.architecture', value.text('gpt2')]), 'invalid_source', /twice/],
    ['a tensor twice', withTensor(numbered('output_norm.weight', 9, 32)), 'invalid_source', /twice/],
    [
      'a string of 2^50 bytes',
      withMetadata(['x', Buffer.concat([u32(8), u64(2n ** 50n)])]),
      'invalid_source',
      /claims/,
    ],
    [
      'an array of 2^50 items',
      withMetadata(['x', Buffer.concat([u32(9), u32(0), u64(2n ** 50n)])]),
      'invalid_source',
      /claims/,
    ],
    [
      'an array longer than the file',
      withMetadata(['x', Buffer.concat([u32(9), u32(4), u64(8_000_000)])]),
      'invalid_source',
      /truncated/,
    ],
    ['arrays in arrays in arrays', withMetadata(['x', Buffer.concat([u32(9), nested(5)])]), 'invalid_source', /nested/],
    ['an unknown value type', withMetadata(['x', u32(77)]), 'invalid_source', /value type 77/],
    ['alignment 0', withMetadata(['general.alignment', value.u32(0)]), 'invalid_source', /alignment/],
    ['alignment 3', withMetadata(['general.alignment', value.u32(3)]), 'invalid_source', /alignment/],
    ['a tensor past the end', withTensor({ ...small, offset: 2n ** 40n }), 'invalid_source', /ends at byte/],
    ['a tensor between alignments', withTensor({ ...small, offset: 4 }), 'invalid_source', /aligned/],
    ['a tensor over another', withTensor({ ...small, offset: 0 }), 'invalid_source', /overlap/],
    ['a shape that overflows', withTensor({ ...small, dims: [2n ** 33n, 2n ** 33n] }), 'invalid_source', /impossible/],
    ['a size that is no number', withTensor({ ...small, dims: [2n ** 63n] }), 'invalid_source', /impossible/],
    ['five dimensions', withTensor({ ...small, dims: [1, 1, 1, 1, 32] }), 'invalid_source', /5 dimensions/],
    ['rows of half a block', withTensor({ ...small, type: 2, dims: [16] }), 'invalid_source', /whole blocks/],
    ['a type that is not read', withTensor({ ...small, type: 10 }), 'unsupported_source', /extra\.weight.*Q2_K/],
    ['a type that does not exist', withTensor({ ...small, type: 200 }), 'unsupported_source', /number 200/],
    [
      'a name that is taken',
      withTensor(numbered('lm_head.weight', 9, 32), numbered('output.weight', 9, 32)),
      'invalid_source',
      /two tensors/,
    ],
    [
      'an architecture that is not known, whatever it is called',
      replaced('general.architecture', value.text('constructor')),
      'unsupported_source',
      /"constructor" is not known; there are llama, .*gpt2/,
    ],
    ['no tensors', { ...llama, tensors: [] }, 'invalid_source', /no tensors/],
    [
      'an unknown kind of tokenizer',
      replaced('tokenizer.ggml.model', value.text('rwkv')),
      'unsupported_source',
      /rwkv/,
    ],
    ['an unknown pre-tokenizer', replaced('tokenizer.ggml.pre', value.text('viking')), 'unsupported_source', /viking/],
    [
      'an eos that is no token',
      replaced('tokenizer.ggml.eos_token_id', value.u32(8)),
      'invalid_source',
      /eos_token_id/,
    ],
    ['no heads', replaced('llama.attention.head_count', value.u32(0)), 'invalid_source', /heads/],
    [
      'heads that rotate in part',
      replaced('llama.rope.dimension_count', value.u32(8)),
      'unsupported_source',
      /rotated/,
    ],
  ])('%s', (_, spec, code, message) =>
    withFile(ggufBytes(spec), async (path) => {
      await expect(openGguf(path)).rejects.toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      );
    }),
  );

  test('every truncation is refused, and no flipped byte is more than refused', () =>
    withFile(Buffer.alloc(0), async (path) => {
      const whole = ggufBytes(llama);
      for (let length = 0; length < whole.length - 32; length += 61) {
        await writeFile(path, whole.subarray(0, length));
        await expect(openGguf(path), `${length} bytes`).rejects.toMatchObject({ code: 'invalid_source' });
      }
      let random = 1;
      for (let i = 0; i < 400; i++) {
        random = (Math.imul(random, 1103515245) + 12345) >>> 0;
        const flipped = Buffer.from(whole);
        flipped[(random >>> 8) % 1500] = random >>> 24;
        await writeFile(path, flipped);
        await openGguf(path).then(
          (opened) => opened.close(),
          (error: unknown) => expect(error).toBeInstanceOf(AppError),
        );
      }
    }));
});

const malformed = join(SHARED, 'data/malformed');
describe.skipIf(!existsSync(malformed))('files found in the wild (needs ../shared/data/malformed)', () => {
  const files = existsSync(malformed)
    ? ['gguf', 'pickle'].flatMap((kind) => readdirSync(join(malformed, kind)).map((name) => join(kind, name)))
    : [];
  test.each(files)('%s is refused, plainly', async (name) => {
    const error: unknown = await openCheckpoint(join(malformed, name)).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({
      code: expect.stringMatching(/^(in|un)\w+_source$/),
      message: expect.stringContaining(name.split('/')[1] ?? '?'),
    });
  });
});
