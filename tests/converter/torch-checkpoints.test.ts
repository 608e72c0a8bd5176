/** Checkpoints of torch from end to end: the same model, whichever way it was saved. */
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { convert } from '../../services/converter/convert.ts';
import { scratch } from './testing/bucket-folder.ts';
import { copyGolden } from './testing/edit-checkpoint.ts';

const FIXTURES = path.join(import.meta.dirname, '../../services/converter/readers/pytorch/fixtures');

const run = async (source: string, base?: string) => {
  const options = { name: 'model', precision: 'fp32', bucketUrl: await scratch(), allowDrift: false } as const;
  return (await convert({ source, ...options, ...(base === undefined ? {} : { base }) })).manifest;
};

describe('convert', () => {
  it('makes of pytorch_model.bin the bytes it makes of the same model.safetensors', async () => {
    const folder = await copyGolden('llama-grouped-tied');
    const fromSafetensors = await run(folder);
    await rm(path.join(folder, 'model.safetensors'));
    await cp(path.join(FIXTURES, 'llama-grouped-tied.bin'), path.join(folder, 'pytorch_model.bin'));
    const fromTorch = await run(folder);

    expect(fromTorch.source.files.map(({ name }) => name)).toContain('pytorch_model.bin');
    expect(fromTorch.files).toEqual(fromSafetensors.files);
    expect(fromTorch.parity).toEqual(fromSafetensors.parity);
    expect(fromTorch.parity).toMatchObject({ within_bounds: true, top1_agreement: 1 });
  });

  it('joins what the ranks of FSDP hold over the base they were trained from', async () => {
    const folder = await copyGolden('llama-grouped-tied');
    const fromSafetensors = await run(folder);
    const fromRanks = await run(path.join(FIXTURES, 'llama-ranks'), folder);
    const weights = ({ files }: typeof fromRanks) => files.filter((file) => file.path.startsWith('onnx/'));
    expect(weights(fromRanks)).toEqual(weights(fromSafetensors));
    expect(fromRanks.parity).toMatchObject({ within_bounds: true, top1_agreement: 1 });
  });

  it('asks for --base where a file holds weights alone', async () => {
    await expect(run(path.join(FIXTURES, 'training-run.pt'))).rejects.toMatchObject({
      code: 'unsupported_source',
      message: expect.stringMatching(/training-run\.pt holds 4 tensors alone.*--base FOLDER/),
    });
  });

  it('refuses a whole module by the name of its class', async () => {
    await expect(run(path.join(FIXTURES, 'whole-module.pt'))).rejects.toMatchObject({
      code: 'unsupported_source',
      message: expect.stringContaining('"__main__.Policy"'),
    });
  });
});
