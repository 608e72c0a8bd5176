/** A data folder on a disk without a byte left: who operates it can still say what is to stop, and make room. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { lockFile } from './file-lock.ts';
import { freeRuns } from './free-runs.ts';
import { keepWorking } from './keep-working.ts';
import { OpenRun } from './open-run.ts';
import { readRun, runFolder } from './run-folder.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { newPlace, type Place, submitTiny } from './testing/tiny-run.ts';
import { startTraining } from './train.ts';

/** The runs alone are on the small disk: the queue has one of its own. */
function smallDisk(context: TestContext, { dataFolder }: Place): { fill(): void } {
  const folder = join(dataFolder, 'runs');
  mkdirSync(folder);
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'slipway-test', folder]).status !== 0) {
    context.skip('mounting a tmpfs is not permitted here');
  }
  onTestFinished(() => void spawnSync('umount', ['--lazy', folder]));
  return {
    fill: () => expect(() => writeFileSync(join(folder, 'full'), Buffer.alloc(2 ** 20))).toThrow(/ENOSPC/),
  };
}

it('takes a lock, and gives back what an ended run has', async (context) => {
  const place = newPlace();
  const disk = smallDisk(context, place);
  const { id } = await submitTiny(place);
  const folder = runFolder(place.dataFolder, id);
  writeFileSync(join(folder.work, 'checkpoint'), Buffer.alloc(2 ** 16));
  const run = await OpenRun.open(place.dataFolder, id);
  await run.apply('cancel_asked', 'was cancelled', { ended_at: new Date().toISOString() });
  run.close();
  disk.fill();
  lockFile(folder.lock)?.();
  const freed = await freeRuns(place.dataFolder, { dryRun: false, graceMs: 0, belowBytes: null });
  expect(freed).toMatchObject({ bytes: 2 ** 16, runs: [{ run: { id }, kept: null }] });
  expect(existsSync(folder.work)).toBe(false);
  expect((await readRun(place.dataFolder, id)).freed_at).not.toBeNull();
});

it('leaves no kernel behind that could not be written down', async (context) => {
  const place = newPlace();
  const disk = smallDisk(context, place);
  const { id } = await submitTiny(place);
  const run = await OpenRun.open(place.dataFolder, id);
  onTestFinished(() => run.close());
  writeFileSync(run.folder.kernelLog, '');
  disk.fill();
  const { training } = await fakeStages(place.dataFolder).kernel(run, {
    signal: new AbortController().signal,
    onProgress: () => {},
  });
  const control = { onCheckpoint: () => {}, fetchCheckpoint: async () => undefined };
  await expect(startTraining(run, training, control)).rejects.toMatchObject({ code: 'ENOSPC' });
  const { stdout } = spawnSync('pgrep', ['-P', String(process.pid), '-f', 'fake-kernel'], { encoding: 'utf8' });
  expect(stdout).toBe('');
});

it('says that it cannot work, and tries again', async () => {
  const place = newPlace();
  const lines: Record<string, unknown>[] = [];
  const told = Promise.withResolvers<void>();
  const destination = {
    write: (line: string) => {
      lines.push(JSON.parse(line));
      told.resolve();
    },
  };
  const log = createLogger({ service: 'test', level: 'info', destination });
  // Where the lock should be made.
  writeFileSync(join(place.dataFolder, 'runs'), '');
  const worker = keepWorking({ ...place, stages: fakeStages(place.dataFolder) }, 'one', log);
  await told.promise;
  expect(lines).toEqual([expect.objectContaining({ msg: expect.stringContaining('is tried again') })]);
  rmSync(join(place.dataFolder, 'runs'));
  await worker.leave();
});
