/**
 * Kill -9 of kernel and supervisor at random moments, with the real kernel: the same losses and the same weights as undisturbed, published
 * once. KILL_ROUNDS says how often (default 4; 50 take ten minutes); PICTURES=docs/training draws the two curves there.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { hasEnded } from '@slipway/trainer/runs';
import { expect, it } from 'vitest';
import { kernelOf } from '../../services/trainer/runs/testing/kernel-of.ts';
import { type Kill, resumePicture } from './testing/resume-picture.ts';
import { kernelMissing, lossCurve, newTrainPlace, TINY_GPT2, type TrainPlace } from './testing/train-command.ts';

const { PICTURES = '' } = process.env;
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 4);
/** Between two kills: some steps and a checkpoint. */
const EVENTS = 12;
/** More than are taken between two kills. */
const STEPS = ROUNDS * 60;
const CHANGES = [`training.max_steps=${STEPS}`, 'training.evaluate_every=50'];
const ARGS = ['train', ...TINY_GPT2, ...CHANGES.flatMap((change) => ['--set', change]), '--json'];

async function weightsOf({ bucketUrl }: TrainPlace) {
  const bucket = openBucket(bucketUrl);
  expect(await bucket.versions('shakespeare-gpt2')).toEqual(['v001']);
  const { files, weights } = await bucket.resolve('shakespeare-gpt2');
  return files.find(({ path }) => path === weights)?.sha256;
}

it.skipIf(kernelMissing)(
  `kernel and supervisor killed ${ROUNDS} times: the same model, once${kernelMissing}`,
  { timeout: 4 * 3600_000 },
  async () => {
    const undisturbed = await newTrainPlace();
    expect(await undisturbed.slipway([...ARGS, '--follow'])).toMatchObject({ code: 0 });
    const place = await newTrainPlace();
    expect(await place.slipway(ARGS)).toMatchObject({ code: 0 });
    const { id } = await place.run();

    let child: ChildProcess | undefined;
    const follow = () =>
      place.slipway(['runs', 'show', id, '--follow', '--json'], (started) => {
        child = started;
      });
    let ended = follow();
    const kills: Kill[] = [];
    let killedAt: number | null = -1;
    while (kills.length < ROUNDS && !hasEnded((await place.run()).state)) {
      // In every stage, and never so often that nothing gets done in between.
      const seen = place.events(id).length;
      while (place.events(id).length < seen + EVENTS && !hasEnded((await place.run()).state)) await sleep(100);
      await sleep(Math.random() * 1500);
      const kernel = kernelOf(place.dataFolder, id);
      const { checkpoint_step } = await place.run();
      // One that gets no further however often it is begun would be given up.
      const hasAdvanced = checkpoint_step !== killedAt;
      const step = Math.max(0, ...lossCurve(place.events(id)).keys());
      if (kills.length % 2 === 0 && kernel !== undefined && hasAdvanced) {
        process.kill(kernel, 'SIGKILL');
        kills.push({ step, victim: 'kernel' });
        killedAt = checkpoint_step;
      } else if (child !== undefined && child.exitCode === null) {
        child.kill('SIGKILL');
        kills.push({ step, victim: 'supervisor' });
        await ended;
        ended = follow();
      } else break;
    }
    expect(await ended).toMatchObject({ code: 0 });
    expect(kills).toHaveLength(ROUNDS);
    const events = place.events(id);
    expect(events.map((event) => event.id)).toEqual(events.map((_, index) => index + 1));
    const whole = await undisturbed.run();
    const [killedCurve, wholeCurve] = [lossCurve(events), lossCurve(undisturbed.events(whole.id))];
    expect(killedCurve).toEqual(wholeCurve);
    expect(await weightsOf(place)).toBe(await weightsOf(undisturbed));
    if (PICTURES === '') return;
    mkdirSync(PICTURES, { recursive: true });
    writeFileSync(join(PICTURES, 'resume.svg'), resumePicture(wholeCurve, killedCurve, kills));
  },
);
