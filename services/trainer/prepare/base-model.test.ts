/** A base, whatever it is, as the folder a kernel reads: on the golden checkpoints, through the real converter. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { convert } from '@slipway/converter/convert';
import { readTextSide } from '@slipway/converter/text-side';
import { expect, it, onTestFinished } from 'vitest';
import { type BaseRequest, findBaseModel } from './base-model.ts';

const GOLDEN = resolve(import.meta.dirname, '../../../tests/fixtures/golden');
const FOLDER = join(GOLDEN, 'llama-plain/checkpoint');
const ADAPTER = resolve(GOLDEN, '../adapters/llama-lora');
const GGUF = join(GOLDEN, 'gguf-llama-f16', 'model.gguf');

function requestFor(base: string, change: Partial<BaseRequest> = {}): BaseRequest {
  const root = mkdtempSync(join(tmpdir(), 'slipway-base-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  return {
    base,
    bucketUrl: join(root, 'bucket'),
    cacheFolder: join(root, 'bases'),
    modelOfRun: async () => undefined,
    signal: new AbortController().signal,
    onProgress: () => {},
    ...change,
  };
}

it('is a folder as it is, with what it consists of', async () => {
  const { folder, lineage } = await findBaseModel(requestFor(FOLDER));
  expect(folder).toBe(FOLDER);
  expect(lineage.parent).toBe('checkpoint');
  expect(lineage.parent_files?.map(({ name }) => name)).toEqual(['config.json', 'model.safetensors']);
});

it.each([
  ['of an architecture that is not converted', { model_type: 'gpt_neox' }, 'the architecture "gpt_neox" is not known'],
  ['whose weights are quantized', { quantization_config: { quant_method: 'gptq' } }, 'has a quantization_config'],
  // transformers fills in random ones.
  ['that lacks weights', { num_hidden_layers: 9 }, 'model.layers.2.input_layernorm.weight [32] is missing'],
  ['whose weights are of another size', { vocab_size: 96 }, 'the configuration asks for [96,32]'],
])('is refused before anything is trained on it: one %s', async (_, change, says) => {
  const request = requestFor(FOLDER);
  const base = join(request.cacheFolder, 'base');
  cpSync(FOLDER, base, { recursive: true });
  const config = join(base, 'config.json');
  writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...change }));
  await expect(findBaseModel({ ...request, base })).rejects.toThrow(says);
});

it('is exported out of a GGUF file once', async () => {
  const request = requestFor(GGUF);
  const first = await findBaseModel(request);
  const made = statSync(join(first.folder, 'model.safetensors')).mtimeMs;
  expect((await readTextSide(first.folder)).config.vocabularySize).toBeGreaterThan(1);
  expect(await findBaseModel(request)).toEqual(first);
  expect(statSync(join(first.folder, 'model.safetensors')).mtimeMs).toBe(made);
  expect(readdirSync(request.cacheFolder)).toHaveLength(1);
  expect(first.lineage).toMatchObject({ parent: 'model.gguf', parent_files: [{ name: 'model.gguf' }] });
});

it('is an adapter merged into the model it names', async () => {
  const { folder, lineage } = await findBaseModel(requestFor(ADAPTER));
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']));
  expect(lineage.parent).toBe('llama-lora');
  expect(lineage.parent_files?.map(({ name }) => name).join()).toContain('adapter_model.safetensors');
});

it('is the folder that a version trained here was made of; another version cannot be trained', async () => {
  const request = requestFor('model@v001', { modelOfRun: async (id) => (id === 'run-1' ? FOLDER : undefined) });
  const { bucketUrl } = request;
  const options = { source: FOLDER, precision: 'fp32', bucketUrl, allowDrift: false } as const;
  await convert({ ...options, name: 'model', lineage: { run: 'run-1' } });
  await convert({ ...options, name: 'other' });
  expect(await findBaseModel(request)).toMatchObject({ folder: FOLDER, lineage: { parent: 'model@v001' } });
  await expect(findBaseModel({ ...request, base: 'other@v001' })).rejects.toMatchObject({
    code: 'unsupported_source',
    message: expect.stringContaining('Give the folder or file it was made of ('),
  });
  await expect(findBaseModel({ ...request, modelOfRun: async () => undefined })).rejects.toMatchObject({
    message: expect.stringContaining('is what run-1 trained, whose weights are not in this DATA_FOLDER'),
  });
});
