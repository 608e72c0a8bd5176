/** The embedded queue: the contract's suite, and what only a file and real processes can show. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { jobQueueConformance } from './conformance.ts';
import { killedWorkersConformance } from './conformance-workers.ts';
import { openEmbeddedQueue } from './embedded.ts';
import type { JobQueue } from './job-queue.ts';
import { jobNamed } from './testing/job-named.ts';

const WORKER = fileURLToPath(new URL('./testing/embedded-worker.ts', import.meta.url));

function scratchFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-jobs-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'deep', 'jobs.db');
}

function open(file: string): JobQueue {
  const queue = openEmbeddedQueue(file);
  onTestFinished(() => queue.close());
  return queue;
}

jobQueueConformance('embedded', async () => {
  const file = scratchFile();
  return [open(file), open(file)];
});

killedWorkersConformance('embedded', WORKER, async () => {
  const file = scratchFile();
  return { address: file, queue: open(file) };
});

describe('the embedded queue', () => {
  it('finds the next job by the index alone', async () => {
    const file = scratchFile();
    await open(file).enqueue(jobNamed('job-0'));
    const database = new DatabaseSync(file);
    onTestFinished(() => database.close());
    for (const comparison of ['<=', '>']) {
      const [plan] = database
        .prepare(
          `EXPLAIN QUERY PLAN SELECT * FROM jobs WHERE queue = ? AND priority = 1 AND available_at ${comparison} ? ORDER BY available_at, sequence LIMIT 1`,
        )
        .all('work', 0);
      expect(plan?.detail).toContain('jobs_claimable');
    }
  });

  it('keeps its jobs when the clock is set back or forward by a day', async () => {
    const file = scratchFile();
    const queue = open(file);
    for (const id of ['job-0', 'job-1', 'job-2']) await queue.enqueue(jobNamed(id));
    for (const day of [-1, 1]) {
      const claim = await queue.claim('work', 60_000);
      if (claim === undefined) throw new Error('nothing to claim');
      const database = new DatabaseSync(file);
      database.exec(
        `UPDATE jobs SET available_at = available_at - ${day * 86_400_000} WHERE available_at > 0; UPDATE jobs SET created_at = created_at - ${day * 86_400_000}`,
      );
      database.close();
      const next = await queue.claim('work', 60_000);
      expect(next).toBeDefined();
      if (next !== undefined) await queue.settle(next, { kind: 'completed', result: null });
    }
  });

  it('says that the disk is full, and keeps what it had', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'slipway-jobs-full-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'slipway-test', folder]).status !== 0) {
      return context.skip('mounting a tmpfs is not permitted here');
    }
    onTestFinished(() => void spawnSync('umount', [folder]));
    const queue = open(join(folder, 'jobs.db'));
    const enqueued: string[] = [];
    const enqueueMore = async () => {
      for (let n = 0; n < 1000; n++) {
        const id = `job-${n}`;
        await queue.enqueue(jobNamed(id, { payload: 'x'.repeat(2000) }));
        enqueued.push(id);
      }
    };
    await expect(enqueueMore()).rejects.toMatchObject({ code: 'disk_full' });
    expect(enqueued.length).toBeGreaterThan(5);
    const jobs = await queue.list({ queue: 'work', limit: 1000 });
    expect(jobs.map(({ id }) => id).reverse()).toEqual(enqueued);
  });

  it('says in words that its file is no database, or newer than it', async () => {
    const file = scratchFile();
    await open(file).find('x');
    const database = new DatabaseSync(file);
    database.exec('PRAGMA user_version = 99');
    database.close();
    expect(() => openEmbeddedQueue(file)).toThrow(/jobs.db was written by a newer Slipway/);
    const noise = join(tmpdir(), `slipway-noise-${process.pid}.db`);
    onTestFinished(() => rmSync(noise, { force: true }));
    writeFileSync(noise, 'this is no database, but long enough to have been one '.repeat(100));
    expect(() => openEmbeddedQueue(noise)).toThrow(/is not a SQLite file/);
    expect(() => openEmbeddedQueue(join(noise, 'jobs.db'))).toThrow(/cannot be opened/);
  });
});
