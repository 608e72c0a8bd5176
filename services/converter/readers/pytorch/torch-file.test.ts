/** Against what torch itself reads from the same files (fixtures/make_torch_files.py), and real checkpoints of others. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { SourceFile } from '../source-file.ts';
import { openTorchFile, readTorchParts, type TorchFileOptions, type TorchTensors } from './torch-file.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');
const MODELS = join(import.meta.dirname, '../../../../../shared/models');

const Value = z.union([z.number(), z.literal(['Infinity', '-Infinity']).transform(Number)]);
const Expected = z.record(
  z.string(),
  z.record(z.string(), z.object({ shape: z.array(z.number()), values: z.array(Value) })),
);
const expected = Expected.parse(JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')));

async function open(path: string, options?: TorchFileOptions) {
  const file = await openTorchFile(path, options);
  onTestFinished(() => file.close());
  return file;
}

async function valuesOf(file: TorchTensors) {
  const values: Record<string, { shape: readonly number[]; values: number[] }> = {};
  for (const [name, tensor] of file.tensors) {
    expect(tensor.name).toBe(name);
    values[name] = { shape: tensor.shape, values: [...(await tensor.read())] };
  }
  return values;
}

const MODEL = ['embedding.weight', 'norm.weight', 'norm.bias', 'head.weight'];

test('the fixtures are those the expectations are of', () => {
  expect(Object.keys(expected)).toHaveLength(8);
});

test.each<[string, string, TorchFileOptions?]>([
  ['types.pt', ''],
  ['views.pt', ''],
  ['views-legacy.pt', ''],
  ['protocol-5.pt', 'state_dict', { choose: 'state_dict' }],
  ['training-run.pt', 'model'],
  ['training-run-legacy.pt', 'model'],
  ['actor-critic.pt', 'actor.model', { choose: 'actor' }],
])('reads from %s what torch reads, under %j', async (name, path, options) => {
  const file = await open(join(FIXTURES, name), options);
  expect(file.path).toBe(path);
  expect(await valuesOf(file)).toEqual(expected[name]);
});

test('names the stored types', async () => {
  const { tensors } = await open(join(FIXTURES, 'types.pt'));
  const types = [...tensors.values()].slice(0, 11).map(({ dtype }) => dtype);
  expect(types).toEqual(['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL', 'U16']);
});

test('tells which names are one tensor', async () => {
  expect((await open(join(FIXTURES, 'training-run.pt'))).tied).toEqual([['embedding.weight', 'head.weight']]);
  expect((await open(join(FIXTURES, 'views-legacy.pt'))).tied).toEqual([['base', 'again']]);
});

test('leaves optimizer state and loose tensors out, and says so', async () => {
  const file = await open(join(FIXTURES, 'training-run.pt'));
  expect([...file.tensors.keys()]).toEqual(MODEL);
  expect(file.beside).toEqual(['lr_scheduler', 'optimizer', 'rng_state']);
});

describe('where several dicts hold tensors', () => {
  const path = join(FIXTURES, 'actor-critic.pt');

  test('names them instead of guessing', async () => {
    await expect(openTorchFile(path)).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(/"actor", "critic"/),
    });
  });

  test.each([
    ['critic', 'critic.model', MODEL],
    ['critic.model', 'critic.model', MODEL],
    ['', '', [...MODEL.map((name) => `actor.model.${name}`), ...MODEL.map((name) => `critic.model.${name}`)]],
  ])('the choice %j takes %j', async (choose, path_, names) => {
    const file = await open(path, { choose });
    expect(file.path).toBe(path_);
    expect([...file.tensors.keys()]).toEqual(names);
  });

  test('a choice that is not there is refused with what is', async () => {
    await expect(openTorchFile(path, { choose: 'policy' })).rejects.toMatchObject({
      message: expect.stringMatching(/"policy".*"actor", "critic"/),
    });
  });
});

test.each([
  ['float8.pt', /"half".*F8_E4M3/],
  ['expanded.pt', /"expanded".*contiguous/],
])('opens %s, and refuses to read the tensor in words', async (name, message) => {
  const { tensors } = await open(join(FIXTURES, name));
  const [tensor] = tensors.values();
  await expect(tensor?.read()).rejects.toMatchObject({
    code: 'unsupported_source',
    message: expect.stringMatching(message),
  });
});

describe('the files of several ranks', () => {
  const ranks = async (...numbers: number[]) => {
    const names = numbers.map((rank) => join(FIXTURES, `model_world_size_3_rank_${rank}.pt`));
    const files = await Promise.all(names.map((name) => SourceFile.open(name)));
    onTestFinished(async () => void (await Promise.all(files.map((file) => file.close()))));
    return readTorchParts(files);
  };

  test('are joined, in whatever order they come', async () => {
    expect(await valuesOf(await ranks(0, 1, 2))).toEqual(expected.ranks);
    expect(await valuesOf(await ranks(2, 0, 1))).toEqual(expected.ranks);
  });

  test.each([[[0, 1]], [[1, 2]], [[0]], [[1]]])('are refused where of the three only %j are there', async (numbers) => {
    await expect(ranks(...numbers)).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(/"rows" has [1-4] of its 5 along axis 0.*all of them/),
    });
  });

  test('are no ranks where every file has all: nothing says which is meant', async () => {
    const file = await SourceFile.open(join(FIXTURES, 'types.pt'));
    onTestFinished(() => file.close());
    await expect(readTorchParts([file, file])).rejects.toMatchObject({ message: expect.stringContaining('whole') });
  });
});

test('refuses a whole module by the name of its class', async () => {
  await expect(openTorchFile(join(FIXTURES, 'whole-module.pt'))).rejects.toMatchObject({
    code: 'unsupported_source',
    message: expect.stringMatching(/"__main__.Policy".*state_dict/),
  });
});

describe.skipIf(!existsSync(MODELS))('real checkpoints (needs ../shared/models)', () => {
  const at = (name: string) => join(MODELS, name);

  test('column-major strides', async () => {
    const { tensors } = await open(at('torch-small/fortran_tensor_3d.pth'));
    const tensor = tensors.get('tensor_fortran');
    expect(tensor).toMatchObject({ shape: [2, 3, 4], dtype: 'I64' });
    expect([...((await tensor?.read()) ?? [])]).toEqual(Array.from({ length: 24 }, (_, i) => i + 1));
  });

  test('one under a key, one at the top', async () => {
    for (const [name, path] of [
      ['test.pt', ''],
      ['test_with_key.pt', 'model_state_dict'],
    ] as const) {
      const file = await open(at(`torch-small/${name}`));
      expect(file.path).toBe(path);
      expect([...((await file.tensors.get('test')?.read()) ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    }
  });

  test('a DistilBERT saved before torch 1.6', async () => {
    const { tensors } = await open(at('torch-small/pytorch_model-legacy.bin'));
    expect(tensors.size).toBe(38);
    const positions = tensors.get('distilbert.embeddings.position_embeddings.weight');
    expect(positions?.shape).toEqual([512, 2]);
    // Sines and cosines of the position.
    const values = (await positions?.read()) ?? [];
    expect(values[2]).toBeCloseTo(Math.sin(1), 6);
    expect(values[1022]).toBeCloseTo(Math.sin(511), 4);
    expect(values[1023]).toBeCloseTo(Math.cos(511), 4);
  });

  test('a llama in Meta’s names', async () => {
    const { tensors } = await open(at('llama-meta-random/demo_rand_params.pth'));
    const mask = await tensors.get('layers.0.attention.mask')?.read();
    expect(mask?.length).toBe(128 * 128);
    expect([mask?.[0], mask?.[1], mask?.[128], mask?.[129]]).toEqual([0, Number.NEGATIVE_INFINITY, 0, 0]);
  });

  test('a tensor without a name', async () => {
    await expect(openTorchFile(at('torch-small/pytorch_model-zip.bin'))).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringContaining('single tensor'),
    });
  });

  test.each(['RNN_1_layer', 'hidden_size_50', 'hidden_size_100'])('%s is refused by its class', async (name) => {
    await expect(openTorchFile(at(`char-rnn/${name}.pt`))).rejects.toMatchObject({
      code: 'unsupported_source',
      message: expect.stringContaining('"model.CharRNN"'),
    });
  });
});
