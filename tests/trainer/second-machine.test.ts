/** A machine that is gone, with the real kernel: another one, with a data folder of its own and the same bucket, trains the same model. */
import { rmSync } from 'node:fs';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { runFolder } from '@slipway/trainer/runs';
import { expect, it } from 'vitest';
import { kernelMissing, lossCurve, newTrainPlace, TINY_GPT2, type TrainPlace } from './testing/train-command.ts';

const ARGS = ['train', ...TINY_GPT2, '--set', 'training.max_steps=60', '--json'];

async function weightsIn(bucketUrl: string) {
  const { files, weights } = await openBucket(bucketUrl).resolve('shakespeare-gpt2');
  return files.find(({ path }) => path === weights)?.sha256;
}

it.skipIf(kernelMissing)(
  `a run goes on from its bucket elsewhere: the same losses, the same weights${kernelMissing}`,
  { timeout: 30 * 60_000 },
  async () => {
    const undisturbed = await newTrainPlace();
    expect(await undisturbed.slipway([...ARGS, '--follow'])).toMatchObject({ code: 0 });
    const { id: whole } = await undisturbed.run();

    const first: TrainPlace = await newTrainPlace();
    const following = first.slipway([...ARGS, '--follow'], (child) => {
      const look = setInterval(async () => {
        const { id, checkpoint_step } = await first.run();
        const copied = await openBucket(first.bucketUrl).fileSets(`runs/${id}/checkpoints/`);
        if ((checkpoint_step ?? 0) < 12 || copied.length === 0) return;
        clearInterval(look);
        child.kill('SIGKILL');
      }, 100);
    });
    expect(await following).toMatchObject({ code: null });
    const { id } = await first.run();
    rmSync(runFolder(first.dataFolder, id).path, { recursive: true });

    const second = await newTrainPlace();
    const resumed = await second.slipway(['train', '--resume', id, '--bucket', first.bucketUrl, '--follow', '--json']);
    expect(resumed).toMatchObject({ code: 0 });
    expect(lossCurve(second.events(id))).toEqual(lossCurve(undisturbed.events(whole)));
    expect(await weightsIn(first.bucketUrl)).toBe(await weightsIn(undisturbed.bucketUrl));
    const fetched = await second.slipway([
      'data',
      'fetch',
      'shakespeare-gpt2',
      `${second.dataFolder}/examples`,
      '--bucket',
      first.bucketUrl,
    ]);
    expect(fetched).toMatchObject({ code: 0, stdout: expect.stringContaining('train/examples.jsonl') });
  },
);
