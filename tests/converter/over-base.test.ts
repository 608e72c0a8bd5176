/** Adapters and training checkpoints over a base, from the command line to the tokens that the published version gives. */
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../services/converter/readers/open-checkpoint.ts';
import { readAdapter } from '../../services/converter/readers/over-base/testing/adapter-fixtures.ts';
import { readTrained } from '../../services/converter/readers/over-base/testing/trained-fixtures.ts';
import { largestError, readGolden } from '../../services/converter/testing/golden.ts';
import { filesIn, scratch } from './testing/bucket-folder.ts';
import { copyGolden } from './testing/edit-checkpoint.ts';
import { slipway } from './testing/slipway.ts';
import { StandardGraph } from './testing/standard-graph.ts';

interface Expected {
  readonly token_ids: readonly number[];
  readonly logits: readonly Float32Array[];
  readonly greedy: readonly number[];
}

async function published(bucketUrl: string) {
  const bucket = openBucket(bucketUrl);
  const manifest = await bucket.resolve('m');
  return { manifest, folder: await bucket.materialize(manifest) };
}

/** The version's logits are PyTorch's, and its greedy continuation is. */
async function expectSame(bucketUrl: string, { token_ids, logits, greedy }: Expected): Promise<void> {
  const { manifest, folder } = await published(bucketUrl);
  const graph = await StandardGraph.open(path.join(folder, manifest.graphs.standard.path));
  let rows = await graph.run(token_ids);
  expect(largestError(rows, logits)).toBeLessThan(1e-3);
  const told: number[] = [];
  for (let step = 0; step < greedy.length; step++) {
    const last = rows.at(-1) ?? new Float32Array();
    const best = last.indexOf(Math.max(...last));
    told.push(best);
    rows = await graph.run([best]);
  }
  await graph.close();
  expect(told).toEqual(greedy);
}

const convert = (bucket: string, ...args: string[]) => slipway(['convert', ...args, '--name', 'm', '--bucket', bucket]);

describe('slipway convert --base', () => {
  it('publishes a LoRA adapter as the model peft makes of it, and names the files of both', async () => {
    const adapter = await readAdapter('llama-lora');
    const { source: base } = await readGolden('llama-plain');
    const bucket = await scratch();
    expect(await convert(bucket, adapter.folder, '--base', base)).toMatchObject({ code: 0, errors: [] });
    await expectSame(bucket, adapter);
    const { manifest } = await published(bucket);
    expect(manifest.source).toMatchObject({ kind: 'peft-adapter', label: 'llama-lora' });
    expect(manifest.source.files.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'weights: llama-lora/adapter_config.json',
        'weights: llama-lora/adapter_model.safetensors',
        'base: checkpoint/config.json',
        'base: checkpoint/model.safetensors',
      ]),
    );
  });

  it('finds the base that an adapter names where it is a folder, and serves the tokens it added', async () => {
    const adapter = await readAdapter('llama-resized-tied');
    const bucket = await scratch();
    expect(await convert(bucket, adapter.folder)).toMatchObject({ code: 0, errors: [] });
    await expectSame(bucket, adapter);
    const { manifest, folder } = await published(bucket);
    expect(manifest.architecture).toMatchObject({ vocab_size: 290, tied_embedding: true });
    expect(await readFile(path.join(folder, 'tokenizer.json'), 'utf8')).toContain('</think>');
  });

  it('publishes a policy out of a .pt with its critic beside it, and tells how it fitted', async () => {
    const { source, basePath, ...expected } = await readTrained('ppo-actor-critic');
    const bucket = await scratch();
    const { code, stdout } = await convert(bucket, source, '--base', basePath, '--json');
    expect(code).toBe(0);
    await expectSame(bucket, expected);
    const fit = {
      matched: 20,
      tied: ['lm_head.weight'],
      unexpected: ['critic.model.layers.0.mlp.up_proj.weight', 'critic.v_head.weight', 'optimizer'],
    };
    expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({ fit });
    const { manifest } = await published(bucket);
    expect(manifest.source).toMatchObject({ kind: 'checkpoint-over-base', label: 'checkpoint.pt', fit });
    expect(manifest.source.files.map(({ name }) => name)).toContain('weights: checkpoint.pt');
  });

  it('tells people how shards fitted', async () => {
    const { source, basePath, ...expected } = await readTrained('fsdp-shards');
    const bucket = await scratch();
    const { code, stdout } = await convert(bucket, source, '--base', basePath);
    expect(code).toBe(0);
    expect(stdout).toMatch(/matched {6}21 tensors, none missing\n {2}renamed {6}2: policy\.model\. -> model\. \(20\)/);
    await expectSame(bucket, expected);
  });

  it('writes an adapted model as a Hugging Face folder that is the same model', async () => {
    const adapter = await readAdapter('gpt2-dora-bias');
    const out = path.join(await scratch(), 'merged');
    const args = ['convert', adapter.folder, '--to', 'safetensors', '--precision', 'fp32', '--out', out];
    expect(await slipway(args)).toMatchObject({ code: 0, errors: [] });
    const [source, copy] = [await openCheckpoint(adapter.folder), await openCheckpoint(out)];
    for (const [name, tensor] of copy.tensors) {
      const values = await source.tensors.get(name)?.read();
      expect([name, largestError([await tensor.read()], values ? [values] : [])]).toEqual([name, 0]);
    }
    await Promise.all([source.close(), copy.close()]);
  });

  it('publishes nothing when a weight is missing, and says which in one line', async () => {
    const { source } = await readGolden('llama-plain');
    const base = await copyGolden('llama-plain');
    const file = path.join(await copyGolden('llama-grouped-tied'), 'model.safetensors');
    await rm(path.join(base, 'model.safetensors'));
    for (const each of [source, base]) {
      const bucket = await scratch();
      const { code, stdout, errors } = await convert(bucket, file, '--base', each);
      expect([code, stdout, errors.length]).toEqual([2, '', 1]);
      expect(errors[0]).toMatch(
        /^slipway: model\.safetensors over \S+: 1 tensor of the base is missing: lm_head\.weight\. 20 /,
      );
      expect(filesIn(bucket)).toEqual([]);
    }
  });
});
