/** The queue in Redis: the contract's suite on a real server, and a server that is killed while jobs are worked on. */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jobQueueConformance } from '@slipway/shared/jobs/conformance.ts';
import { killedWorkersConformance } from '@slipway/shared/jobs/conformance-workers.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { jobNamed } from '@slipway/shared/jobs/testing/job-named.ts';
import { hasRedisServer, type RedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openRedisQueue } from './redis.ts';

const WORKER = fileURLToPath(new URL('./testing/redis-worker.ts', import.meta.url));
const log = createLogger({ service: 'test', level: 'silent', destination: silence });
/** Longer than the suite's short leases, so that a lease which has passed is not always taken at once. */
const STALLED_CHECK = 250;

describe.skipIf(!hasRedisServer)('with redis-server', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer();
  });
  afterAll(() => server.stop());

  function open(): JobQueue {
    const queue = openRedisQueue(server.url, log, { stalledCheck: STALLED_CHECK });
    onTestFinished(() => queue.close());
    return queue;
  }

  jobQueueConformance('redis', async () => {
    await server.empty();
    return [open(), open()];
  });

  killedWorkersConformance('redis', WORKER, async () => {
    await server.empty();
    return { address: server.url, queue: open() };
  });

  it('says so when Redis takes nothing more', async () => {
    await server.empty();
    const queue = open();
    await queue.enqueue(jobNamed('first'));
    const redis = new Redis(server.url);
    onTestFinished(async () => {
      await redis.config('SET', 'maxmemory', '0');
      redis.disconnect();
    });
    await redis.config('SET', 'maxmemory', '1');
    await expect(queue.enqueue(jobNamed('second'))).rejects.toMatchObject({ code: 'overloaded' });
    expect(await queue.find('second')).toBeUndefined();
  });

  it('loses nothing and does nothing twice when Redis is killed again and again', async () => {
    await server.empty();
    const [producer, consumer] = [open(), open()];
    const total = 40;
    const done: string[] = [];
    let isOver = false;
    const working = (async () => {
      while (done.length < total) {
        const claim = await consumer.claim('work', 60_000);
        if (claim === undefined) await sleep(5);
        else {
          await consumer.settle(claim, { kind: 'completed', result: claim.token });
          done.push(claim.job.id);
        }
      }
      isOver = true;
    })();
    const sending = (async () => {
      for (let n = 0; n < total; n++) await producer.enqueue(jobNamed(`job-${n}`, { payload: { n } }));
    })();
    for (let round = 0; round < 4 && !isOver; round++) {
      await sleep(60);
      await server.kill();
      await server.start();
    }
    await Promise.all([working, sending]);
    expect(new Set(done).size).toBe(total);
    const jobs = await producer.list({ queue: 'work', limit: 100 });
    expect(jobs.map(({ state }) => state)).toEqual(Array.from({ length: total }, () => 'completed'));
  });
});
