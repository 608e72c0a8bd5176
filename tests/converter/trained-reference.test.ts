/** A model that was trained here is held to what its trainer computes of it: the golden checkpoints, with PyTorch as the trainer. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { describe, expect, it } from 'vitest';
import { convert, type TrainedReference } from '../../services/converter/convert.ts';
import { safetensorsBytes } from '../../services/converter/readers/testing/safetensors-bytes.ts';
import { type Golden, readGolden } from '../../services/converter/testing/golden.ts';
import { makeScratch, scratch } from './testing/bucket-folder.ts';

async function trainedOf(golden: Golden, logits = golden.logits, greedy = golden.greedy): Promise<TrainedReference> {
  const logitsFile = path.join(await makeScratch(), 'logits.safetensors');
  const rows = logits.map((row) => Buffer.from(row.buffer, row.byteOffset, row.byteLength));
  const shape = [logits.length, logits[0]?.length ?? 0];
  await writeFile(logitsFile, safetensorsBytes({ 'logits.0': { dtype: 'F32', shape, data: Buffer.concat(rows) } }));
  return { passages: [golden.tokenIds], logitsFile, greedy: [{ prompt: golden.tokenIds, ids: greedy }] };
}

async function publish(golden: Golden, trained: TrainedReference, precision: 'fp32' | 'int8' = 'fp32') {
  const bucketUrl = await scratch();
  const lineage = { run: 'run-1', training: { steps: 3, loss: 1, validation_loss: null, tokens: 9, seconds: 1 } };
  const options = { source: golden.source, name: 'model', precision, bucketUrl, allowDrift: true, lineage, trained };
  const { manifest } = await convert(options);
  expect(await openBucket(bucketUrl).resolve('model')).toEqual(manifest);
  return manifest;
}

describe('a trained model', () => {
  it.each([
    ['llama-grouped-tied', 'fp32'],
    ['gpt2', 'fp32'],
    ['qwen3', 'int8'],
    ['char-lstm', 'fp32'],
  ] as const)('%s in %s: its float32 graph gives its logits and every token of its answer', async (name, precision) => {
    const golden = await readGolden(name);
    const manifest = await publish(golden, await trainedOf(golden), precision);
    expect(manifest.lineage).toMatchObject({ run: 'run-1', training: { steps: 3 } });
    const { trained } = manifest.parity;
    expect(trained).toMatchObject({
      top1_agreement: 1,
      tokens: golden.tokenIds.length,
      greedy_tokens: golden.greedy.length,
      greedy_ties: 0,
    });
    expect(trained?.max_logit_error).toBeLessThan(1e-3);
  });

  it('whose logits are others is not published, whatever drift is allowed', async () => {
    const golden = await readGolden('gpt2');
    const other = golden.logits.map((row) => row.map((value, token) => value + 0.05 * (token % 7)));
    await expect(publish(golden, await trainedOf(golden, other))).rejects.toMatchObject({
      code: 'parity_failed',
      message: expect.stringContaining('is not the model that was trained'),
    });
  });

  it('that answers another token is not published, and the token is named', async () => {
    const golden = await readGolden('gpt2');
    const greedy = golden.greedy.with(2, ((golden.greedy[2] ?? 0) + 1) % 20);
    await expect(publish(golden, await trainedOf(golden, golden.logits, greedy))).rejects.toMatchObject({
      code: 'parity_failed',
      message: expect.stringMatching(/answer 0: token 2 is \d+ instead of \d+/),
    });
  });

  it('whose logits are of other tokens is refused', async () => {
    const golden = await readGolden('gpt2');
    await expect(publish(golden, await trainedOf(golden, golden.logits.slice(1)))).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringContaining('logits.0 has the shape'),
    });
  });
});
