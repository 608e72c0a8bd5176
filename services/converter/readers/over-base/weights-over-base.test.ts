import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { AppError } from '@slipway/shared/contracts/errors.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeModel } from '../../architectures/find-architecture.ts';
import { referenceLogits } from '../../parity/reference/reference-logits.ts';
import { largestError, readGolden } from '../../testing/golden.ts';
import { openCheckpoint } from '../open-checkpoint.ts';
import { safetensorsBytes } from '../testing/safetensors-bytes.ts';
import { scratchFolder } from '../testing/scratch.ts';
import { readTrained, TRAINED } from './testing/trained-fixtures.ts';

async function open(path: string, base: string) {
  const checkpoint = await openCheckpoint(path, base);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

async function refusal(path: string, base: string): Promise<string> {
  const error: AppError = await openCheckpoint(path, base).then(
    (checkpoint) => {
      onTestFinished(() => checkpoint.close());
      throw new Error('it was opened');
    },
    (caught) => caught,
  );
  expect(error.name).toBe('AppError');
  return error.message;
}

type Rename = (name: string) => string | undefined;
interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** A golden checkpoint's tensors under other names (undefined: left out), with others added, as one .safetensors file. */
async function trained(
  source: string,
  rename: Rename = (name) => name,
  others: Readonly<Record<string, Values>> = {},
): Promise<string> {
  const checkpoint = await openCheckpoint(source);
  const found: [string, Values][] = [];
  for (const [name, tensor] of checkpoint.tensors) {
    const renamed = rename(name);
    if (renamed !== undefined) found.push([renamed, { shape: tensor.shape, values: await tensor.read() }]);
  }
  await checkpoint.close();
  const entries = [...found, ...Object.entries(others)].map(([name, { shape, values }]) => [
    name,
    { dtype: 'F32', shape, data: new Uint8Array(values.buffer) },
  ]);
  return join(
    await scratchFolder({ 'policy.safetensors': safetensorsBytes(Object.fromEntries(entries)) }),
    'policy.safetensors',
  );
}

/** A copy of a golden folder without its weights. */
async function withoutWeights(source: string): Promise<string> {
  const folder = await scratchFolder();
  await cp(source, folder, { recursive: true });
  for (const name of await readdir(folder)) if (/safetensors/.test(name)) await rm(join(folder, name));
  return folder;
}

const zeros = (...shape: number[]): Values => ({
  shape,
  values: new Float32Array(shape.reduce((product, size) => product * size, 1)),
});

describe('weights out of training over a base', () => {
  it.each(TRAINED)('%s is the policy that was trained', async (name) => {
    const { source, basePath, token_ids, logits } = await readTrained(name);
    for (const base of [basePath, await withoutWeights(basePath)]) {
      const checkpoint = await open(source, base);
      expect(checkpoint.fit).toMatchObject({ missing: [] });
      describeModel(checkpoint);
      expect(largestError(await referenceLogits(checkpoint, token_ids), logits)).toBeLessThan(1e-4);
    }
  });

  it('tells what matched, what it left out, and which head is the embedding', async () => {
    const { source, basePath } = await readTrained('ppo-actor-critic');
    const { fit, files, kind, label } = await open(source, basePath);
    expect(fit).toEqual({
      matched: 20,
      missing: [],
      unexpected: ['critic.model.layers.0.mlp.up_proj.weight', 'critic.v_head.weight', 'optimizer'],
      tied: ['lm_head.weight'],
      renamed: ['actor.module.model. -> model. (20)', 'actor.module. -> (none) (1)'],
    });
    expect([kind, label]).toEqual(['checkpoint-over-base', 'checkpoint.pt']);
    expect(files.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'weights: checkpoint.pt',
        'base: checkpoint/config.json',
        'base: checkpoint/model.safetensors',
      ]),
    );
    for (const { sha256 } of files) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    'module.',
    'actor.model.',
    '_orig_mod.module.actor.',
    'base_model.model.',
    'policy._forward_module._orig_mod.',
    'model.module.',
  ])('cuts %s', async (prefix) => {
    const { source, tokenIds, logits } = await readGolden('llama-plain');
    const checkpoint = await open(await trained(source, (name) => prefix + name), source);
    expect(largestError(await referenceLogits(checkpoint, tokenIds), logits)).toBeLessThan(1e-4);
  });

  it('knows a body without its class, and a class around a bare body', async () => {
    const plain = await readGolden('llama-plain');
    const body = await trained(plain.source, (name) => name.replace(/^model\./, ''));
    expect((await open(body, plain.source)).fit?.missing).toEqual([]);
    const bare = await readGolden('gpt2-bare-odd-heads');
    const wrapped = await trained(bare.source, (name) => `actor.transformer.${name}`);
    expect((await open(wrapped, bare.source)).fit?.missing).toEqual([]);
  });

  it('takes the embedding from the head where only that name of the two was kept', async () => {
    const { source, tokenIds, logits } = await readGolden('llama-grouped-tied');
    const headOnly = await trained(source, (name) => name.replace('model.embed_tokens', 'lm_head'));
    const checkpoint = await open(headOnly, source);
    expect(checkpoint.fit?.tied).toEqual(['lm_head.weight']);
    expect(largestError(await referenceLogits(checkpoint, tokenIds), logits)).toBeLessThan(1e-4);
  });

  it('keeps a head that has come apart from its embedding', async () => {
    const { source } = await readGolden('llama-grouped-tied');
    const checkpoint = await open(await trained(source, undefined, { 'lm_head.weight': zeros(288, 64) }), source);
    expect([checkpoint.fit?.tied, checkpoint.config.tie_word_embeddings]).toEqual([[], false]);
    expect(describeModel(checkpoint)).toMatchObject({ head: { weight: { rows: 288 } } });
  });

  it('knows models that have no such head at all', async () => {
    const { source } = await readGolden('char-lstm-odd');
    const checkpoint = await open(await trained(source, (name) => `module.${name}`), source);
    expect(checkpoint.fit).toMatchObject({ missing: [], unexpected: [], tied: [] });
    describeModel(checkpoint);
  });

  it('refuses weights of which some are missing, with their names', async () => {
    const { source } = await readGolden('llama-plain');
    const cut = await trained(source, (name) => (/layers\.1\.mlp|lm_head/.test(name) ? undefined : `actor.${name}`));
    for (const base of [source, await withoutWeights(source)]) {
      const message = await refusal(cut, base);
      expect(message).toMatch(/^policy\.safetensors over \S+: 4 tensors of the base are missing: /);
      for (const name of ['model.layers.1.mlp.up_proj.weight', 'lm_head.weight']) expect(message).toContain(name);
      expect(message).toContain('Nothing was published');
    }
  });

  it('refuses names that fit nothing and are not a critic’s', async () => {
    const { source } = await readGolden('llama-plain');
    const extra = 'actor.model.layers.0.self_attn.q_norm.weight';
    const odd = await trained(source, (name) => `actor.${name}`, { [extra]: zeros(8) });
    expect(await refusal(odd, source)).toContain(`not of a critic or value head: ${extra}`);
    // A critic inside the policy's own layers is the policy's.
    const inside = await trained(source, undefined, { 'model.layers.0.critic.weight': zeros(8) });
    expect(await refusal(inside, source)).toContain('model.layers.0.critic.weight');
    const heads = await trained(source, undefined, {
      'value_head.weight': zeros(1, 32),
      'critic.model.norm.weight': zeros(32),
    });
    expect((await open(heads, source)).fit?.unexpected).toEqual(['critic.model.norm.weight', 'value_head.weight']);
  });

  it('names both shapes where one does not fit', async () => {
    const { source } = await readGolden('llama-plain');
    const name = 'model.layers.0.self_attn.o_proj.weight';
    const small = await trained(source, (each) => (each === name ? undefined : each), { [name]: zeros(4, 4) });
    expect(await refusal(small, source)).toMatch(/o_proj\.weight has shape \[4,4\], .* of the base \[\d+,\d+\]/);
    const embedding = 'model.embed_tokens.weight';
    const resized = await trained(source, (each) => (each === embedding ? undefined : each), {
      [embedding]: zeros(300, 32),
    });
    expect(await refusal(resized, source)).toMatch(/\[300,32\].*tokenizer of the resized model/);
  });

  it('refuses two tensors that would be one, and factors that are not merged', async () => {
    const { source } = await readGolden('llama-plain');
    const twice = await trained(source, undefined, { 'module.model.norm.weight': zeros(32) });
    expect(await refusal(twice, source)).toContain('model.norm.weight and module.model.norm.weight would both be');
    const factors = await trained(source, undefined, {
      'model.layers.0.self_attn.q_proj.lora_A.default.weight': zeros(2, 32),
    });
    expect(await refusal(factors, source)).toContain('save_pretrained');
  });

  it('refuses files that hold the same tensor, rather than take one of them', async () => {
    const { source } = await readGolden('llama-plain');
    const file = await trained(source);
    await cp(file, join(file, '../reference.safetensors'));
    expect(await refusal(join(file, '..'), source)).toMatch(
      /the tensor \S+ is in policy\.safetensors and in reference\.safetensors; give the one file that is meant/,
    );
  });

  it('says where something is not there', async () => {
    const { source } = await readGolden('llama-plain');
    expect(await refusal('/nothing/here.pt', source)).toBe('there is nothing at /nothing/here.pt');
    const file = await trained(source);
    expect(await refusal(file, '/nothing/there')).toBe('there is no base at /nothing/there');
    expect(await refusal(await scratchFolder(), source)).toContain('no weights');
    const shards = await readTrained('fsdp-shards');
    const folder = await scratchFolder();
    await cp(shards.source, folder, { recursive: true });
    await rm(join(folder, 'model-00002-of-00003.pt'));
    expect(await refusal(folder, shards.basePath)).toBe(
      `${folder}: of 3 shards these are missing: model-00002-of-00003.pt`,
    );
    await writeFile(join(folder, 'model-00002-of-00003.pt'), 'no pickle');
    expect(await refusal(folder, shards.basePath)).toContain('model-00002-of-00003.pt');
    expect(basename(shards.source)).toBe('step_20');
  });
});
