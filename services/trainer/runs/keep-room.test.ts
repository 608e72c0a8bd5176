/** Room that a service makes by itself: on a disk that is too full, of what has ended long enough ago, and of examples nobody names. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { draftManifest } from '@slipway/shared/bucket/testing/draft.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { expect, it, onTestFinished } from 'vitest';
import { askRun } from './ask-run.ts';
import { freeRuns } from './free-runs.ts';
import { keepRoom } from './keep-room.ts';
import { readRun, runFolder } from './run-folder.ts';
import { fakeStages } from './testing/fake-stages.ts';
import { newPlace, submitTiny } from './testing/tiny-run.ts';
import { workRuns } from './work-runs.ts';

const MORE_THAN_ANY_DISK_GIB = 1_000_000;

interface Kept {
  readonly sha256: string;
  readonly set: string;
}

/** As a run keeps them before it publishes. */
async function keep(bucket: Bucket, text: string, name?: string): Promise<Kept> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-room-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const sha256 = createHash('sha256').update(text).digest('hex');
  const set = name ?? `data/${sha256}`;
  writeFileSync(join(folder, 'examples.jsonl'), text);
  await bucket.putFiles(set, folder);
  return { sha256, set };
}

async function publishNaming(bucket: Bucket, { sha256 }: Kept): Promise<void> {
  const staging = await bucket.stage('tiny');
  for (const path of ['serving.onnx', 'onnx/model.onnx', 'tokenizer.json']) {
    mkdirSync(join(staging.folder, 'onnx'), { recursive: true });
    writeFileSync(join(staging.folder, path), path);
  }
  const lineage = { examples: [{ name: 'train/examples.jsonl', bytes: 1, sha256 }] };
  await staging.publish({ ...draftManifest('tiny'), lineage });
}

/** One run that has failed or was cancelled, and one that waits with a checkpoint. */
async function place() {
  const found = newPlace();
  const { dataFolder, queue } = found;
  const leave = new AbortController();
  const stages = fakeStages(dataFolder, { step_milliseconds: 100 });
  const worked = workRuns({ ...found, stages, signal: leave.signal });
  const [ended, paused] = [await submitTiny(found), await submitTiny(found)];
  for (const [{ id }, wish] of [[ended, 'cancelled'] as const, [paused, 'paused'] as const]) {
    while ((await readRun(dataFolder, id)).checkpoint_step === null) await sleep(10);
    await askRun(dataFolder, queue, id, wish);
    while ((await readRun(dataFolder, id)).state !== wish) await sleep(10);
  }
  leave.abort();
  await worked;
  return { ...found, ended, paused, bucket: openBucket(join(dataFolder, 'bucket')) };
}

async function lookOnce(dataFolder: string, keepFreeGib: number, keepDays: number) {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) };
  const room = keepRoom(
    { dataFolder, keepFreeGib, keepDays },
    createLogger({ service: 'test', level: 'info', destination }),
  );
  // It has begun to look, and ends what it has begun.
  await room.leave();
  return lines;
}

it('frees what has ended and examples that nothing names, says how much, and touches nothing that is in use', async () => {
  const { dataFolder, ended, paused, bucket } = await place();
  const [ofVersion, ofOtherMachine, ofNobody] = [
    await keep(bucket, 'of a version'),
    await keep(bucket, 'of a run elsewhere'),
    await keep(bucket, 'of nobody'),
  ];
  await publishNaming(bucket, ofVersion);
  const elsewhere = await keep(bucket, 'of a run elsewhere', 'runs/run-20260101-000000-000000/prepared');
  const before = await bucket.fileSets('');

  expect(await lookOnce(dataFolder, 1, 0)).toEqual([]);
  expect(await lookOnce(dataFolder, MORE_THAN_ANY_DISK_GIB, 1)).toEqual([]);
  const dry = await freeRuns(dataFolder, { dryRun: true, graceMs: 0, belowBytes: null });
  expect(dry.buckets.map(({ examples }) => examples)).toEqual([[ofNobody.set]]);
  expect(await bucket.fileSets('')).toEqual(before);
  expect(existsSync(runFolder(dataFolder, ended.id).work)).toBe(true);

  const lines = await lookOnce(dataFolder, MORE_THAN_ANY_DISK_GIB, 0);
  expect(lines).toEqual([
    expect.objectContaining({ run: ended.id, bytes: expect.any(Number) }),
    expect.objectContaining({ bucket: bucket.location, bytes: dry.buckets[0]?.bytes, examples: [ofNobody.set] }),
  ]);
  expect(existsSync(runFolder(dataFolder, ended.id).work)).toBe(false);
  expect(existsSync(runFolder(dataFolder, paused.id).work)).toBe(true);
  const kept = before.filter((name) => !name.includes(ended.id) && name !== ofNobody.set);
  expect(kept).toEqual(expect.arrayContaining([ofVersion.set, ofOtherMachine.set, elsewhere.set]));
  expect(await bucket.fileSets('')).toEqual(kept);
  expect((await readRun(dataFolder, ended.id)).freed_at).not.toBeNull();
  // What is restored later still finds its examples; nothing is left to do.
  expect(await lookOnce(dataFolder, MORE_THAN_ANY_DISK_GIB, 0)).toEqual([]);
});

it('ends what a killed service has begun to free', async () => {
  const { dataFolder, ended } = await place();
  const folder = runFolder(dataFolder, ended.id);
  const record = { ...(await readRun(dataFolder, ended.id)), freed_at: new Date().toISOString() };
  writeFileSync(folder.record, JSON.stringify(record));
  await lookOnce(dataFolder, MORE_THAN_ANY_DISK_GIB, 0);
  expect(existsSync(folder.work)).toBe(false);
});
