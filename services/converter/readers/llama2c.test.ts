import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openCheckpoint } from './open-checkpoint.ts';
import { f32 } from './testing/gguf-bytes.ts';
import { scratchFolder } from './testing/scratch.ts';

const STORIES = join(import.meta.dirname, '../../../../shared/models/stories260K');

const PER_LAYER = 8 + 64 + 32 + 32 + 64 + 8 + 3 * 96;

/** dim 8, hidden 12, 2 layers, 2 heads of 4, 1 key/value head, 5 tokens, context 6; every float is its index in the file. */
function checkpointBytes(vocabulary = 5): Buffer {
  const header = Buffer.alloc(28);
  for (const [i, value] of [8, 12, 2, 2, 1, vocabulary, 6].entries()) header.writeInt32LE(value, i * 4);
  const count = 5 * 8 + 2 * PER_LAYER + 8 + 2 * 6 * 2 + (vocabulary < 0 ? 5 * 8 : 0);
  return Buffer.concat([header, f32(...Array.from({ length: count }, (_, i) => i))]);
}

function tokenizerBytes(pieces: readonly [string, number][]): Buffer {
  const parts = pieces.map(([text, score]) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeInt32LE(bytes.length);
    return Buffer.concat([f32(score), length, bytes]);
  });
  return Buffer.concat([Buffer.alloc(4), ...parts]);
}

const TOKENIZER = tokenizerBytes([
  ['<unk>', 0],
  ['\n<s>\n', 0],
  ['\n</s>\n', 0],
  [' ', -1],
  ['a', -2],
]);

async function open(files: Record<string, Uint8Array>) {
  const folder = await scratchFolder(files);
  const checkpoint = await openCheckpoint(join(folder, 'model.bin'));
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

test('finds each tensor in its place, rotary rows in Hugging Face’s order', async () => {
  const checkpoint = await open({ 'model.bin': checkpointBytes(), 'tok5.bin': TOKENIZER });
  expect(checkpoint).toMatchObject({
    kind: 'llama2c',
    config: { model_type: 'llama', hidden_size: 8, tie_word_embeddings: true },
  });
  const read = async (name: string) => [...((await checkpoint.tensors.get(name)?.read()) ?? [])];
  const queries = 5 * 8 + 2 * 8;
  const query = await read('model.layers.0.self_attn.q_proj.weight');
  // Rows of 8; per head of four rows the order is 0 2 1 3.
  expect([0, 1, 2, 3, 4].map((row) => query[row * 8])).toEqual([0, 2, 1, 3, 4].map((row) => queries + row * 8));
  const keys = queries + 2 * 64;
  const key = await read('model.layers.0.self_attn.k_proj.weight');
  expect([0, 1, 2, 3].map((row) => key[row * 8])).toEqual([0, 2, 1, 3].map((row) => keys + row * 8));
  expect((await read('model.layers.1.self_attn.v_proj.weight'))[0]).toBe(queries + 2 * 64 + 2 * 32 + 32);
  expect((await read('model.norm.weight'))[0]).toBe(5 * 8 + 2 * PER_LAYER);
  expect(checkpoint.tensors.get('model.layers.1.mlp.down_proj.weight')?.shape).toEqual([8, 12]);
  expect(checkpoint.tensors.has('lm_head.weight')).toBe(false);
  expect(checkpoint.files.map(({ name }) => name)).toEqual(['model.bin', 'tok5.bin']);
});

test('a negative vocabulary means a head of its own', async () => {
  const checkpoint = await open({ 'model.bin': checkpointBytes(-5), 'tokenizer.bin': TOKENIZER });
  expect(checkpoint.config).toMatchObject({ tie_word_embeddings: false, vocab_size: 5 });
  expect((await checkpoint.tensors.get('lm_head.weight')?.read())?.at(-1)).toBe(40 + 2 * PER_LAYER + 8 + 24 + 39);
});

test.each<[string, Record<string, Uint8Array>, RegExp]>([
  ['no tokenizer beside it', {}, /tok\*\.bin/],
  ['two tokenizers', { 'tok1.bin': TOKENIZER, 'tok2.bin': TOKENIZER }, /there are/],
  ['a tokenizer that ends early', { 'tok5.bin': TOKENIZER.subarray(0, 40) }, /claims|ends after/],
  ['a tokenizer that goes on', { 'tok5.bin': Buffer.concat([TOKENIZER, Buffer.alloc(3)]) }, /goes on/],
  [
    'a checkpoint that is too short',
    { 'model.bin': checkpointBytes().subarray(0, -4), 'tok5.bin': TOKENIZER },
    /none of what/,
  ],
  ['a checkpoint of zeros', { 'model.bin': Buffer.alloc(100), 'tok5.bin': TOKENIZER }, /none of what/],
])('%s is refused', async (_, files, message) => {
  await expect(open({ 'model.bin': checkpointBytes(), ...files })).rejects.toMatchObject({
    code: 'invalid_source',
    message: expect.stringMatching(message),
  });
});

describe.skipIf(!existsSync(STORIES))('stories260K (needs ../shared/models/stories260K)', () => {
  test('encodes as SentencePiece does and reads back', async () => {
    const checkpoint = await openCheckpoint(join(STORIES, 'stories260K.bin'));
    onTestFinished(() => checkpoint.close());
    const tokenizer = loadTokenizer(checkpoint.text.tokenizerJson, checkpoint.text.tokenizerConfig);
    const text = 'Once upon a time, there was a small café.\n';
    const ids = tokenizer.encode(text, { addBos: true, parseSpecial: false });
    // sentencepiece 0.2 over tok512.model, BOS in front.
    expect(ids).toEqual([1, 403, 407, 261, 378, 432, 383, 286, 261, 262, 423, 388, 280, 412, 431, 485, 426, 13]);
    expect(tokenizer.decode(ids)).toBe(text);
    const story = readFileSync(join(STORIES, 'expected-greedy-200.txt'), 'utf8');
    expect(tokenizer.decode(tokenizer.encode(story, { addBos: true, parseSpecial: false }))).toBe(story);
  });
});
