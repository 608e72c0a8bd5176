/**
 * What every job queue must survive: workers that are killed or stopped beyond their lease at random moments. Real processes; knows
 * nothing of where jobs are kept.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { JobQueue } from './job-queue.ts';
import { jobNamed } from './testing/job-named.ts';

const JOBS = 200;
const MOST_KILLS = 40;

/** A new, empty store: what a worker is told of it, and a handle on it. */
export type OpenStore = () => Promise<{ readonly address: string; readonly queue: JobQueue }>;

/** `worker`: a program of ADDRESS LEASE_MILLISECONDS PAUSE_MILLISECONDS that does what `testing/worker.ts` says. */
export function killedWorkersConformance(kind: string, worker: string, open: OpenStore): void {
  describe(`${kind}: killed workers`, () => {
    it('lose nothing and complete nothing twice', async () => {
      const { address, queue } = await open();
      for (let n = 0; n < JOBS; n++) await queue.enqueue(jobNamed(`job-${n}`, { payload: { n } }));
      const printed: string[] = [];
      const start = (): ChildProcess => {
        const child = spawn(process.execPath, [worker, address, '60', '80'], { stdio: ['ignore', 'pipe', 'inherit'] });
        child.stdout?.setEncoding('utf8').on('data', (text: string) => printed.push(text));
        return child;
      };
      const kills = await killAtRandom(start);
      const lines = printed.join('').split('\n');
      const completed = lines.filter((line) => line.startsWith('completed ')).map((line) => line.slice(10));
      expect(new Set(completed).size).toBe(completed.length);
      expect(kills).toBeGreaterThan(2);
      const jobs = await queue.list({ queue: 'work', limit: JOBS + 1 });
      expect(jobs.filter(({ state }) => state === 'completed')).toHaveLength(JOBS);
      // Killed between the commit and the print: at most one for each kill.
      expect(JOBS - completed.length).toBeLessThanOrEqual(kills);
      // The result names the claim that completed it, which was the last one to begin.
      const lastToken = new Map(lines.flatMap((line) => (/^begun/.test(line) ? [tokenOf(line)] : [])).sort(byToken));
      for (const { id, result } of jobs) expect(result).toBe(lastToken.get(id));
    }, 300_000);
  });
}

/** Three workers, until one of them has found all jobs ended; how many were killed. */
async function killAtRandom(start: () => ChildProcess): Promise<number> {
  const workers = [start(), start(), start()];
  let kills = 0;
  const hasEnded = (worker: ChildProcess) => worker.exitCode !== null || worker.signalCode !== null;
  while (!workers.some((worker) => worker.exitCode === 0)) {
    await sleep(50 + Math.random() * 400);
    const victim = Math.floor(Math.random() * workers.length);
    const worker = workers[victim];
    if (worker === undefined || hasEnded(worker) || kills >= MOST_KILLS) continue;
    if (Math.random() < 0.3) {
      worker.kill('SIGSTOP');
      await sleep(300);
      worker.kill('SIGCONT');
      continue;
    }
    worker.kill('SIGKILL');
    kills++;
    await once(worker, 'close');
    workers[victim] = start();
  }
  await Promise.all(workers.map((worker) => (hasEnded(worker) ? undefined : once(worker, 'close'))));
  return kills;
}

function tokenOf(line: string): [string, number] {
  const [, id = '', token = ''] = line.split(' ');
  return [id, Number(token)];
}

function byToken([, a]: [string, number], [, b]: [string, number]): number {
  return a - b;
}
