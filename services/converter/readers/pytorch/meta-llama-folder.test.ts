import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { describeModel } from '../../architectures/find-architecture.ts';
import { readGolden } from '../../testing/golden.ts';
import { openCheckpoint } from '../open-checkpoint.ts';
import { interleavedRows } from '../rearrange.ts';
import { scratchFolder } from '../testing/scratch.ts';
import * as p from './testing/pickle-bytes.ts';
import { torchZip } from './testing/zip-bytes.ts';

const MODELS = join(import.meta.dirname, '../../../../../shared/models');

async function open(path: string) {
  const checkpoint = await openCheckpoint(path);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

const META: readonly (readonly [string, string])[] = [
  ['model.embed_tokens', 'tok_embeddings'],
  ['model.norm', 'norm'],
  ['lm_head', 'output'],
  ['model.layers', 'layers'],
  ['self_attn.q_proj', 'attention.wq'],
  ['self_attn.k_proj', 'attention.wk'],
  ['self_attn.v_proj', 'attention.wv'],
  ['self_attn.o_proj', 'attention.wo'],
  ['input_layernorm', 'attention_norm'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'feed_forward.w1'],
  ['mlp.down_proj', 'feed_forward.w2'],
  ['mlp.up_proj', 'feed_forward.w3'],
];

/** A golden llama as Meta would have released it. */
async function released() {
  const { source } = await readGolden('llama-one-kv-head');
  const golden = await open(source);
  const [heads, kvHeads] = [golden.config.num_attention_heads, golden.config.num_key_value_heads].map(Number);
  const storages: Record<string, Uint8Array> = { freqs: new Uint8Array(4) };
  const entries: Record<string, Uint8Array> = {
    'rope.freqs': p.tensor({ key: 'freqs', count: 1, shape: [1], strides: [1] }),
  };
  for (const [name, tensor] of golden.tensors) {
    const values = await tensor.read();
    const rotary = name.includes('q_proj') ? heads : name.includes('k_proj') ? kvHeads : undefined;
    const [rows = 0, columns = 1] = tensor.shape;
    const stored = rotary === undefined ? values : interleavedRows(values, rotary, columns);
    const key = String(Object.keys(storages).length);
    storages[key] = new Uint8Array(stored.buffer);
    const renamed = META.reduce((result, [from, to]) => result.replace(from, to), name);
    const [shape, strides] =
      tensor.shape.length === 1
        ? [[rows], [1]]
        : [
            [rows, columns],
            [columns, 1],
          ];
    entries[renamed] = p.tensor({ key, count: values.length, shape, strides });
  }
  const files = {
    'consolidated.00.pth': torchZip(p.pickle(p.dict(entries)), storages),
    'params.json': JSON.stringify({
      dim: golden.config.hidden_size,
      n_layers: golden.config.num_hidden_layers,
      n_heads: heads,
      n_kv_heads: kvHeads,
      norm_eps: golden.config.rms_norm_eps,
      vocab_size: -1,
    }),
    'tokenizer.json': readFileSync(join(source, 'tokenizer.json')),
  };
  return { golden, files };
}

test('gives the tensors that the same model has in Hugging Face’s format', async () => {
  const { golden, files } = await released();
  const meta = await open(await scratchFolder(files));
  expect([...meta.tensors.keys()].toSorted()).toEqual([...golden.tensors.keys()].toSorted());
  for (const [name, tensor] of golden.tensors) {
    const other = meta.tensors.get(name);
    expect(other?.shape, name).toEqual(tensor.shape);
    expect(await other?.read(), name).toEqual(await tensor.read());
  }
  expect(meta.config).toMatchObject({ model_type: 'llama', intermediate_size: golden.config.intermediate_size });
  expect(meta.files.map(({ name }) => name).toSorted()).toEqual(Object.keys(files).toSorted());
});

test.each<[string, Record<string, string>, RegExp]>([
  ['settings that are none', { 'params.json': '{"dim":64}' }, /params\.json: .*n_layers/],
  [
    'scaled frequencies whose factor is nowhere',
    { 'params.json': '{"dim":64,"n_layers":1,"n_heads":1,"norm_eps":1e-5,"use_scaled_rope":true}' },
    /use_scaled_rope: Llama 3\.1/,
  ],
  ['weights in several files', { 'consolidated.01.pth': '' }, /tensor parallelism/],
])('refuses %s', async (_, changes, message) => {
  const { files } = await released();
  await expect(openCheckpoint(await scratchFolder({ ...files, ...changes }))).rejects.toThrow(message);
});

describe.skipIf(!existsSync(MODELS))('a file of others (needs ../shared/models)', () => {
  test('is a llama, its masks left out', async () => {
    const at = (name: string) => readFileSync(join(MODELS, name));
    const folder = await scratchFolder({
      'params.json': at('llama-meta-random/demo_config.json'),
      'consolidated.00.pth': at('llama-meta-random/demo_rand_params.pth'),
      'tokenizer.model': at('stories260K/tok512.model'),
    });
    const spec = describeModel(await open(folder));
    expect(spec).toMatchObject({ family: 'llama', layers: { length: 5 }, vocabSize: 512, heads: 8, kvHeads: 8 });
  });
});
