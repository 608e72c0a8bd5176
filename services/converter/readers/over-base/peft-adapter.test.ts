import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { describeModel } from '../../architectures/find-architecture.ts';
import { referenceLogits } from '../../parity/reference/reference-logits.ts';
import { type GoldenName, largestError, readGolden } from '../../testing/golden.ts';
import { openCheckpoint } from '../open-checkpoint.ts';
import { safetensorsBytes } from '../testing/safetensors-bytes.ts';
import { scratchFolder } from '../testing/scratch.ts';
import { ADAPTERS, type AdapterName, readAdapter } from './testing/adapter-fixtures.ts';

async function open(path: string, base?: string) {
  const checkpoint = await openCheckpoint(path, base);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

/** A copy of an adapter whose configuration is changed and whose files are replaced (null: removed). */
async function changed(
  name: AdapterName,
  config: object = {},
  files: Readonly<Record<string, string | Uint8Array | null>> = {},
): Promise<string> {
  const folder = await scratchFolder();
  const adapter = await readAdapter(name);
  await cp(adapter.folder, folder, { recursive: true });
  const base_model_name_or_path = join(adapter.folder, `../../golden/${adapter.base}/checkpoint`);
  const file = join(folder, 'adapter_config.json');
  await writeFile(
    file,
    JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), base_model_name_or_path, ...config }),
  );
  for (const [path, content] of Object.entries(files)) {
    if (content === null) await rm(join(folder, path));
    else await writeFile(join(folder, path), content);
  }
  return folder;
}

const weights = (tensors: Readonly<Record<string, readonly number[]>>) => ({
  'adapter_model.safetensors': safetensorsBytes(
    Object.fromEntries(
      Object.entries(tensors).map(([name, shape]) => [
        name,
        { dtype: 'F32', shape, data: new Uint8Array(4 * shape.reduce((product, size) => product * size, 1)) },
      ]),
    ),
  ),
});

const golden = async (name: GoldenName) => (await readGolden(name)).source;

describe('an adapter over its base', () => {
  it.each(ADAPTERS)('%s is the model that peft makes of it', async (name) => {
    const expected = await readAdapter(name);
    const checkpoint = await open(expected.folder);
    describeModel(checkpoint);
    const logits = await referenceLogits(checkpoint, expected.token_ids);
    expect(largestError(logits, expected.logits)).toBeLessThan(1e-4);
    for (const [tensor, { shape, sum, wave }] of Object.entries(expected.tensors)) {
      const mine = checkpoint.tensors.get(tensor);
      // A tied head is not stored.
      if (!mine && tensor === 'lm_head.weight') continue;
      expect([tensor, mine?.shape]).toEqual([tensor, shape]);
      const values = (await mine?.read()) ?? new Float32Array();
      const total = values.reduce((all, value) => all + value, 0);
      const waved = values.reduce((all, value, index) => all + value * Math.sin(index * 0.7 + 0.3), 0);
      expect([tensor, Math.abs(total - sum) < 2e-4, Math.abs(waved - wave) < 2e-4]).toEqual([tensor, true, true]);
    }
  });

  it.each([
    ['llama-dora', 'gguf-llama-q8_0'],
    ['gpt2-lora', 'gguf-gpt2-q8_0'],
  ] as const)('%s goes over the same base as GGUF, up to its 8 bits', async (name, base) => {
    const { folder, token_ids, logits } = await readAdapter(name);
    const over = await referenceLogits(await open(folder, await golden(base)), token_ids);
    const bare = await referenceLogits(await open(await golden(base)), token_ids);
    expect(largestError(over, logits)).toBeLessThan(largestError(bare, logits) / 5);
  });

  it('keeps head and embedding one only where they are one', async () => {
    const tied = async (name: AdapterName) => {
      const { config, tensors } = await open((await readAdapter(name)).folder);
      return [config.tie_word_embeddings, tensors.has('lm_head.weight')];
    };
    expect(await tied('llama-resized-tied')).toEqual([true, false]);
    expect(await tied('llama-embedding-ensured-tied')).toEqual([true, false]);
    expect(await tied('llama-embedding-tied')).toEqual([false, true]);
    expect(await tied('llama-save-head-tied')).toEqual([false, true]);
  });

  it('parts from a head that only the missing lm_head.weight says is the embedding', async () => {
    const { folder, token_ids, logits } = await readAdapter('llama-embedding-tied');
    const base = await scratchFolder();
    await cp(await golden('llama-grouped-tied'), base, { recursive: true });
    const { tie_word_embeddings: _, ...config } = JSON.parse(await readFile(join(base, 'config.json'), 'utf8'));
    await writeFile(join(base, 'config.json'), JSON.stringify(config));
    expect(largestError(await referenceLogits(await open(folder, base), token_ids), logits)).toBeLessThan(1e-4);
  });

  it('adapts a resized embedding beside the head it was tied to', async () => {
    const embedding = 'base_model.model.model.embed_tokens';
    const tensors = {
      [`${embedding}.base_layer.weight`]: [290, 64],
      [`${embedding}.lora_embedding_A`]: [2, 290],
      [`${embedding}.lora_embedding_B`]: [64, 2],
    };
    const over = await open(await changed('llama-resized-tied', {}, weights(tensors)));
    expect(over.tensors.get('lm_head.weight')?.shape).toEqual([290, 64]);
    expect(describeModel(over)).toMatchObject({ vocabSize: 290, head: { weight: { rows: 290 } } });
  });

  it('knows that the head of a GPT-2 is [out, in] as everybody’s', async () => {
    const head = 'base_model.model.lm_head';
    const tensors = { [`${head}.lora_A.weight`]: [4, 32], [`${head}.lora_B.weight`]: [288, 4] };
    const over = await open(await changed('gpt2-lora', {}, weights(tensors)));
    expect(describeModel(over)).toMatchObject({ head: { weight: { rows: 288, columns: 32 } } });
  });

  it('brings the tokenizer it was trained with, and the base’s where it has none', async () => {
    const base = await open(await golden('llama-grouped-tied'));
    const resized = await open((await readAdapter('llama-resized-tied')).folder);
    expect(JSON.stringify(resized.text.tokenizerJson)).toContain('</think>');
    expect(resized.config.vocab_size).toBe(290);
    expect(resized.text).toMatchObject({
      chatTemplate: base.text.chatTemplate,
      eosTokenIds: expect.arrayContaining([...base.text.eosTokenIds]),
    });
    const plain = await open((await readAdapter('llama-rslora-patterns')).folder);
    expect(plain.text).toEqual(base.text);
  });

  it('leaves tensors it does not touch as the base has them', async () => {
    const name = 'model.layers.0.mlp.up_proj.weight';
    const [base, over] = [
      await open(await golden('llama-plain')),
      await open((await readAdapter('llama-lora')).folder),
    ];
    expect(await over.tensors.get(name)?.read()).toEqual(await base.tensors.get(name)?.read());
  });
});

describe('an adapter is refused', () => {
  const Q = 'base_model.model.model.layers.0.self_attn.q_proj';

  it('where its base is not there, not a model, or not whole', async () => {
    const away = await changed('llama-lora', { base_model_name_or_path: 'meta-llama/Llama-3.2-1B' });
    await expect(open(away)).rejects.toThrow(
      /over "meta-llama\/Llama-3\.2-1B", which is no folder here; .* --base FOLDER/,
    );
    await expect(open(await changed('llama-lora', { base_model_name_or_path: null }))).rejects.toThrow(/names no base/);
    await expect(open(away, '/nothing')).rejects.toThrow('there is no base at /nothing');
    await expect(open(away, (await readAdapter('llama-dora')).folder)).rejects.toThrow(/the base is an adapter itself/);
    const bare = await scratchFolder();
    await cp(await golden('llama-plain'), bare, { recursive: true });
    for (const name of await readdir(bare)) if (/safetensors/.test(name)) await rm(join(bare, name));
    await expect(open(away, bare)).rejects.toThrow(/has no weights/);
    await expect(open(away, await golden('gpt2'))).rejects.toThrow(
      /q_proj\S+ has no counterpart in the base checkpoint, and/,
    );
  });

  it('where its weights are missing, cut, or more than weights', async () => {
    const file = 'adapter_model.safetensors';
    await expect(open(await changed('llama-lora', {}, { [file]: null }))).rejects.toThrow(/weights are missing/);
    const bytes = await readFile(join((await readAdapter('llama-lora')).folder, file));
    await expect(open(await changed('llama-lora', {}, { [file]: bytes.subarray(0, 3000) }))).rejects.toThrow(
      /truncated/,
    );
    const runsCode = Buffer.from("cos\nsystem\n(S'true'\ntR.");
    await expect(open(await changed('llama-save-both-bin', {}, { 'adapter_model.bin': runsCode }))).rejects.toThrow(
      /adapter_model\.bin/,
    );
    await expect(open(await changed('llama-lora', {}, { 'adapter_config.json': '{' }))).rejects.toThrow(
      /not valid JSON/,
    );
  });

  it.each([
    [
      { [`${Q}.lora_A.weight`]: [4, 9], [`${Q}.lora_B.weight`]: [64, 4] },
      /change a weight \[64,9\], model\.layers\.0\S+ of the base has shape \[/,
    ],
    [
      { [`${Q}.lora_A.weight`]: [3, 64], [`${Q}.lora_B.weight`]: [64, 3] },
      /are not of rank 4, which adapter_config\.json gives/,
    ],
    [{ [`${Q}.lora_A.weight`]: [4, 64] }, /q_proj\.lora_B\.weight is missing/],
    [{ 'base_model.model.model.norm.weight': [3] }, /norm\.weight has shape \[3\], model\.norm\.weight of the base \[/],
    [{ 'base_model.model.model.layers.9.self_attn.q_proj.bias': [64] }, /layers\.9\S+ has no counterpart in the base/],
    [{ 'base_model.model.model.norm.weight': [64], 'model.norm.weight': [64] }, /are both model\.norm\.weight/],
  ])('with the tensors %j', async (tensors, message) => {
    await expect(open(await changed('llama-lora', {}, weights(tensors)))).rejects.toThrow(message);
  });

  it('where configuration and tensors disagree', async () => {
    await expect(open(await changed('llama-lora', { use_dora: true }))).rejects.toThrow(
      /says use_dora, and the tensor \S+q_proj\.lora_magnitude_vector is missing/,
    );
    await expect(open(await changed('llama-dora', { use_dora: false }))).rejects.toThrow(
      /lora_magnitude_vector is there, and/,
    );
    await expect(open(await changed('llama-bias', { lora_bias: false }))).rejects.toThrow(/lora_B\.bias is there/);
    await expect(open(await changed('llama-rslora-patterns', { rank_pattern: {} }))).rejects.toThrow(/not of rank 4/);
  });

  it('where it added tokens and has no tokenizer that knows them', async () => {
    await expect(
      open(await changed('llama-resized', {}, { 'tokenizer.json': null }), await golden('llama-plain')),
    ).rejects.toThrow(/resized the vocabulary and has no tokenizer/);
  });
});
