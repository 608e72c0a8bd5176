import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '@slipway/shared/text/tokenizer.ts';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BYTE_LEVEL_STYLES } from './byte-level-styles.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import { dict, pickle, tensor } from './pytorch/testing/pickle-bytes.ts';
import { torchZip } from './pytorch/testing/zip-bytes.ts';
import { f32 } from './testing/gguf-bytes.ts';
import { safetensorsBytes } from './testing/safetensors-bytes.ts';
import { scratchFolder } from './testing/scratch.ts';
import { byteLevelFiles, type Piece } from './tokenizer-files.ts';

const SHARED = join(import.meta.dirname, '../../../../shared');
const VOCABULARY = { '<|endoftext|>': 0, a: 1, b: 2, ab: 3, '<|im_end|>': 4 };

function tokenizerJson(): string {
  const style = BYTE_LEVEL_STYLES.get('gpt-2');
  if (!style) throw new Error('no style');
  const pieces = Object.keys(VOCABULARY).map(
    (text): Piece => ({ text, score: 0, kind: text.length > 2 ? 'control' : 'normal' }),
  );
  const ids = { bos: null, eos: null, unknown: null, padding: null, addBos: false };
  return JSON.stringify(byteLevelFiles(pieces, ['a b'], style, ids).tokenizerJson);
}

const weights = (value: number) => ({ dtype: 'F32', shape: [1], data: f32(value) });
const config = { model_type: 'llama', hidden_size: 64, eos_token_id: 3 };

/** A whole, valid folder; what a test changes stands in `files`, null removes. */
async function folder(files: Readonly<Record<string, string | Uint8Array | null>> = {}): Promise<string> {
  const all = {
    'config.json': JSON.stringify(config),
    'model.safetensors': safetensorsBytes({ 'model.norm.weight': weights(5) }),
    'tokenizer.json': tokenizerJson(),
    'tokenizer_config.json': JSON.stringify({ eos_token: '<|im_end|>', chat_template: 'from config' }),
    ...files,
  };
  return scratchFolder(
    Object.fromEntries(Object.entries(all).flatMap(([name, content]) => (content === null ? [] : [[name, content]]))),
  );
}

async function open(path: string) {
  const checkpoint = await openCheckpoint(path);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

const index = (map: Record<string, string>) => JSON.stringify({ metadata: {}, weight_map: map });

test('opens a folder with one weights file', async () => {
  const checkpoint = await open(await folder());
  expect(checkpoint).toMatchObject({
    kind: 'hugging-face-folder',
    config,
    label: expect.stringMatching(/^slipway-readers-/),
  });
  expect([...((await checkpoint.tensors.get('model.norm.weight')?.read()) ?? [])]).toEqual([5]);
  expect(checkpoint.files.map(({ name }) => name).toSorted()).toEqual([
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  for (const { sha256 } of checkpoint.files) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  // The tokenizer's eos, which templates write, and the configuration's.
  expect(checkpoint.text).toMatchObject({
    chatTemplate: 'from config',
    eosTokenIds: [4, 3],
    bosTokenId: null,
    addBos: false,
  });
  expect(checkpoint.text.tokenizerConfig).not.toHaveProperty('chat_template');
});

test('generation_config.json and chat_template.jinja come first', async () => {
  const checkpoint = await open(
    await folder({ 'generation_config.json': '{"eos_token_id":[2,4]}', 'chat_template.jinja': 'from file' }),
  );
  expect(checkpoint.text).toMatchObject({ chatTemplate: 'from file', eosTokenIds: [4, 2] });
});

test('of several templates the default one is taken', async () => {
  const chat_template = [
    { name: 'tool_use', template: 'tools' },
    { name: 'default', template: 'chat' },
  ];
  const checkpoint = await open(await folder({ 'tokenizer_config.json': JSON.stringify({ chat_template }) }));
  expect(checkpoint.text.chatTemplate).toBe('chat');
});

describe('shards', () => {
  const shards = {
    'model.safetensors': null,
    'one.safetensors': safetensorsBytes({ a: weights(1) }),
    'two.safetensors': safetensorsBytes({ b: weights(2) }),
  };
  const map = { a: 'one.safetensors', b: 'two.safetensors' };
  const INDEX = 'model.safetensors.index.json';

  test('are one set of tensors', async () => {
    const checkpoint = await open(await folder({ ...shards, [INDEX]: index(map) }));
    expect([...((await checkpoint.tensors.get('b')?.read()) ?? [])]).toEqual([2]);
    expect(checkpoint.files).toHaveLength(6);
  });

  test.each<[string, Record<string, string | Uint8Array | null>, RegExp]>([
    ['a missing shard', { 'two.safetensors': null, [INDEX]: index(map) }, /two\.safetensors is missing/],
    ['a tensor that is not in its shard', { [INDEX]: index({ a: 'two.safetensors' }) }, /"a" is missing/],
    ['a path upwards', { [INDEX]: index({ a: '../one.safetensors' }) }, /"\.\.\/one/],
    ['an absolute path', { [INDEX]: index({ a: '/etc/one.safetensors' }) }, /\/etc/],
    ['a path upwards in Windows’ way', { [INDEX]: index({ a: '..\\one.safetensors' }) }, /one/],
    ['a file of another kind', { [INDEX]: index({ a: 'config.json' }) }, /config\.json/],
    ['an index that is no JSON', { [INDEX]: '{' }, /JSON/],
    ['an index without a map', { [INDEX]: '{}' }, /weight_map/],
  ])('%s is refused', async (_, files, message) => {
    const path = await folder({ ...shards, ...files });
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(message),
    });
  });
});

describe('torch’s own files', () => {
  const weight = (value: number) =>
    torchZip(pickle(dict({ 'a.w': tensor({ count: 1, shape: [1] }) })), { '0': f32(value) });
  const BIN = 'pytorch_model.bin';
  const shards = {
    'model.safetensors': null,
    'one.bin': weight(8),
    [`${BIN}.index.json`]: index({ 'a.w': 'one.bin' }),
  };
  const read = async (files: Record<string, string | Uint8Array | null>) => {
    const { tensors, files: described } = await open(await folder(files));
    return { values: [...((await tensors.get('a.w')?.read()) ?? [])], names: described.map(({ name }) => name) };
  };

  test('are read where no safetensors are', async () => {
    const { values, names } = await read({ 'model.safetensors': null, [BIN]: weight(7) });
    expect(values).toEqual([7]);
    expect(names).toContain(BIN);
  });

  test('are read by their index', async () => {
    const { values, names } = await read(shards);
    expect(values).toEqual([8]);
    expect(names).toEqual(expect.arrayContaining(['one.bin', `${BIN}.index.json`]));
  });

  test('are left alone where safetensors are', async () => {
    const { tensors } = await open(await folder({ [BIN]: 'x' }));
    expect([...tensors.keys()]).toEqual(['model.norm.weight']);
  });

  test('are only looked for in the folder', async () => {
    const files = { ...shards, [`${BIN}.index.json`]: index({ 'a.w': '../one.bin' }) };
    await expect(openCheckpoint(await folder(files))).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringContaining('"../one.bin"'),
    });
  });
});

test.each<[string, Record<string, string | null>, string, RegExp]>([
  ['no config.json', { 'config.json': null }, 'invalid_source', /config\.json is missing/],
  ['a config.json that is no JSON', { 'config.json': '{"a"' }, 'invalid_source', /config\.json is not valid JSON/],
  ['a config.json that is a list', { 'config.json': '[]' }, 'invalid_source', /config\.json/],
  ['no weights', { 'model.safetensors': null }, 'invalid_source', /model\.safetensors/],
  ['weights of another name', { 'model.safetensors': null, 'model.pt': 'x' }, 'invalid_source', /it holds model\.pt/],
  [
    'a .bin that is none',
    { 'model.safetensors': null, 'pytorch_model.bin': 'x' },
    'unsupported_source',
    /neither a zip/,
  ],
  ['no tokenizer', { 'tokenizer.json': null }, 'invalid_source', /tokenizer\.model/],
  [
    'a tokenizer.model that is none',
    { 'tokenizer.json': null, 'tokenizer.model': 'no protobuf' },
    'invalid_source',
    /tokenizer\.model/,
  ],
  [
    'a vocabulary of an unknown class',
    {
      'tokenizer.json': null,
      'vocab.json': '{}',
      'merges.txt': '',
      'tokenizer_config.json': '{"tokenizer_class":"XTokenizer"}',
    },
    'unsupported_source',
    /XTokenizer/,
  ],
])('%s is refused', async (_, files, code, message) => {
  await expect(openCheckpoint(await folder(files))).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});

test('a folder that only holds a gguf file says to name it; nothing at all is not found', async () => {
  const path = await folder({ 'config.json': null, 'x.gguf': 'GGUF' });
  await expect(openCheckpoint(path)).rejects.toMatchObject({ message: expect.stringContaining('x.gguf') });
  await expect(openCheckpoint(join(path, 'nowhere'))).rejects.toMatchObject({ code: 'not_found' });
  await expect(openCheckpoint(join(path, 'model.safetensors'))).rejects.toMatchObject({
    message: expect.stringContaining('folder'),
  });
  await mkdir(join(path, 'empty'));
  await expect(openCheckpoint(join(path, 'empty'))).rejects.toMatchObject({ code: 'invalid_source' });
});

test('vocab.json and merges.txt make GPT-2’s tokenizer', async () => {
  const path = await folder({
    'tokenizer.json': null,
    'tokenizer_config.json': null,
    'vocab.json': JSON.stringify(VOCABULARY),
    'merges.txt': '#version: 0.2\na b\n',
  });
  const { text } = await open(path);
  const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
  expect(tokenizer.encode('abba<|endoftext|>', { addBos: true, parseSpecial: true })).toEqual([3, 2, 1, 0]);
  expect(text).toMatchObject({ bosTokenId: 0, eosTokenIds: [0, 3], addBos: false });
});

test('a file that shrinks after it was opened is an error where it is read', async () => {
  const path = await folder();
  const checkpoint = await open(path);
  await rm(join(path, 'tokenizer.json'));
  await writeFile(join(path, 'model.safetensors'), '');
  await expect(checkpoint.tensors.get('model.norm.weight')?.read()).rejects.toMatchObject({
    code: 'invalid_source',
    message: expect.stringContaining('truncated'),
  });
});

/** The strings of llama.cpp's vocabulary tests with the ids of transformers. */
function vocabularyCases(name: string): { text: string; ids: string }[] {
  const path = join(SHARED, 'data/vocab', `ggml-vocab-${name}.gguf`);
  const outputs = readFileSync(`${path}.out`, 'utf8').split('\n');
  return readFileSync(`${path}.inp`, 'utf8')
    .split('\n__ggml_vocab_test__\n')
    .map((text, i) => ({ text, ids: (outputs[i] ?? '').trim() }));
}

describe.skipIf(!existsSync(join(SHARED, 'data/vocab')))(
  'tokenizers without tokenizer.json (needs ../shared/data)',
  () => {
    test.each([
      [
        'Llama 2’s tokenizer.model',
        'llama-spm',
        'data/tokenizers/llama2',
        ['tokenizer.model', 'tokenizer_config.json'],
      ],
      [
        'Qwen2’s vocab.json and merges.txt',
        'qwen2',
        'data/vocab/qwen2',
        ['vocab.json', 'merges.txt', 'tokenizer_config.json'],
      ],
    ])('%s', async (_, vocabulary, from, names) => {
      const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(SHARED, from, name))]));
      const { text } = await open(await folder({ 'tokenizer.json': null, ...files }));
      const tokenizer = loadTokenizer(text.tokenizerJson, text.tokenizerConfig);
      const cases = vocabularyCases(vocabulary);
      expect(cases).toHaveLength(47);
      for (const one of cases) {
        expect(
          tokenizer.encode(one.text, { addBos: false, parseSpecial: false }).join(' '),
          JSON.stringify(one.text),
        ).toBe(one.ids);
      }
    });

    test('a unigram SentencePiece model is refused by name', async () => {
      const model = readFileSync(join(SHARED, 'data/tokenizers/sentencepiece/test_model.model'));
      await expect(
        openCheckpoint(await folder({ 'tokenizer.json': null, 'tokenizer.model': model })),
      ).rejects.toMatchObject({
        code: 'unsupported_source',
        message: expect.stringContaining('not BPE'),
      });
    });
  },
);
