/**
 * What a worker in a process of its own does, for tests that kill it: works on what is there and leaves when all has ended. Prints
 * `begun ID TOKEN` and, once it is durable, `completed ID`. A pause lies between the two.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type JobQueue, LeaseLostError } from '../job-queue.ts';

export async function workUntilAllHasEnded(queue: JobQueue, args: readonly string[]): Promise<void> {
  const [leaseMilliseconds = 0, pauseMilliseconds = 0] = args.map(Number);
  for (;;) {
    const claim = await queue.claim('work', leaseMilliseconds);
    if (claim === undefined) {
      const jobs = await queue.list({ queue: 'work', limit: 100_000 });
      if (jobs.every(({ endedAt }) => endedAt !== null)) break;
      await sleep(20);
      continue;
    }
    // Not through a stream, whose buffer would be lost with the process.
    writeSync(1, `begun ${claim.job.id} ${claim.token}\n`);
    if (pauseMilliseconds > 0) await sleep(Math.random() * pauseMilliseconds);
    try {
      await queue.settle(claim, { kind: 'completed', result: claim.token });
      writeSync(1, `completed ${claim.job.id}\n`);
    } catch (error) {
      if (!(error instanceof LeaseLostError)) throw error;
      writeSync(1, `lost ${claim.job.id}\n`);
    }
  }
  await queue.close();
}
