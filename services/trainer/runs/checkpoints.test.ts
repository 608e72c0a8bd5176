import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { newestCheckpoint } from './checkpoints.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-checkpoints-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function write(work: string, step: number): string {
  const path = join(work, 'checkpoints', `step-${String(step).padStart(8, '0')}`);
  mkdirSync(path, { recursive: true });
  const weights = `weights of ${step}`;
  writeFileSync(join(path, 'weights'), weights);
  const hash = createHash('sha256').update(weights).digest('hex');
  writeFileSync(join(path, 'checkpoint.json'), JSON.stringify({ schema: 1, step, files: { weights: hash } }));
  return path;
}

it('takes the newest that is whole, and says which it passes over', async () => {
  const work = scratch();
  expect(await newestCheckpoint(work, null, () => {})).toBeUndefined();
  const paths = [90, 100, 1000, 1100, 1200].map((step) => write(work, step));
  mkdirSync(join(work, 'checkpoints/.step-00001300.partial'));
  const [, , whole = '', unlisted = '', cut = ''] = paths;
  const passedOver: string[] = [];
  const newest = () => newestCheckpoint(work, null, (why) => passedOver.push(why));
  expect(await newest()).toMatchObject({ path: cut, step: 1200 });
  truncateSync(join(cut, 'weights'), 5);
  unlinkSync(join(unlisted, 'checkpoint.json'));
  expect(await newest()).toMatchObject({ path: whole, step: 1000 });
  expect(passedOver).toEqual([
    'the checkpoint step-00001200 is passed over: weights is not what was written',
    'the checkpoint step-00001100 is passed over: a file of it is missing',
  ]);
  writeFileSync(join(whole, 'checkpoint.json'), '{"schema":');
  expect(await newest()).toMatchObject({ step: 100 });
});

it('prefers one that was told of to one that was written after its supervisor had gone', async () => {
  const work = scratch();
  const [told = '', untold = ''] = [40, 60].map((step) => write(work, step));
  expect(await newestCheckpoint(work, 50, () => {})).toMatchObject({ path: told });
  expect(await newestCheckpoint(work, 60, () => {})).toMatchObject({ path: untold });
  rmSync(told, { recursive: true });
  expect(await newestCheckpoint(work, 50, () => {})).toMatchObject({ path: untold });
});
