/**
 * What the durable queue of jobs costs: ten thousand enqueued, then claimed and settled one after the other, in SQLite and in a Redis that
 * keeps every command before it answers (`appendfsync always`).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openEmbeddedQueue } from '@slipway/shared/jobs/embedded.ts';
import type { JobQueue } from '@slipway/shared/jobs/job-queue.ts';
import { hasRedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { createLogger } from '@slipway/shared/lib/log.ts';
import { openRedisQueue } from '../../services/trainer/jobs/redis.ts';
import { median, round3 } from '../rounds.ts';

const JOBS = 10_000;
const QUEUE = 'bench';
const LEASE_MILLISECONDS = 60_000;
/** Claims at each end of the queue: with all jobs waiting, and with all but these ended. */
const AT_AN_END = 500;

export interface QueueCost {
  readonly queue: 'embedded' | 'redis';
  readonly jobs: number;
  /** Medians of the rounds. */
  readonly enqueue_seconds: number;
  readonly drain_seconds: number;
  /** Medians of one claim. */
  readonly milliseconds_per_claim_in_a_long_queue: number;
  readonly milliseconds_per_claim_in_a_short_one: number;
}

/** Redis only where there is a redis-server. */
export async function measureQueue(rounds: number, tell: (line: string) => void): Promise<QueueCost[]> {
  const kinds = hasRedisServer ? (['embedded', 'redis'] as const) : (['embedded'] as const);
  if (!hasRedisServer) tell('there is no redis-server here: the queue in Redis is not measured');
  const found = kinds.map((queue) => ({ queue, rounds: [] as Round[] }));
  for (let round = 0; round < rounds; round++) {
    for (const each of found) {
      tell(`${each.queue}: round ${round + 1} of ${rounds}`);
      each.rounds.push(await (each.queue === 'embedded' ? withEmbedded(measure) : withRedis(measure)));
    }
  }
  return found.map(({ queue, rounds: its }) => {
    const of = (value: (round: Round) => number) => round3(median(its.map(value)));
    return {
      queue,
      jobs: JOBS,
      enqueue_seconds: of(({ enqueueSeconds }) => enqueueSeconds),
      drain_seconds: of(({ drainSeconds }) => drainSeconds),
      milliseconds_per_claim_in_a_long_queue: of(({ claims }) => median(claims.slice(0, AT_AN_END))),
      milliseconds_per_claim_in_a_short_one: of(({ claims }) => median(claims.slice(-AT_AN_END))),
    };
  });
}

interface Round {
  readonly enqueueSeconds: number;
  readonly drainSeconds: number;
  /** Milliseconds of each, in their order. */
  readonly claims: readonly number[];
}

async function measure(queue: JobQueue): Promise<Round> {
  const startedAt = performance.now();
  for (let number = 0; number < JOBS; number++) {
    await queue.enqueue({
      ...{ id: `job-${number}`, queue: QUEUE, owner: 'bench', payload: { number } },
      ...{ priority: 'normal', maxAttempts: null },
    });
  }
  const enqueuedAt = performance.now();
  const claims: number[] = [];
  for (let number = 0; number < JOBS; number++) {
    const before = performance.now();
    const claim = await queue.claim(QUEUE, LEASE_MILLISECONDS);
    claims.push(performance.now() - before);
    if (claim === undefined) throw new Error(`the queue gave ${number} of ${JOBS} jobs`);
    await queue.settle(claim, { kind: 'completed', result: null });
  }
  const seconds = (from: number, to: number) => (to - from) / 1000;
  return {
    enqueueSeconds: seconds(startedAt, enqueuedAt),
    drainSeconds: seconds(enqueuedAt, performance.now()),
    claims,
  };
}

async function withEmbedded(work: (queue: JobQueue) => Promise<Round>): Promise<Round> {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-bench-queue-'));
  const queue = openEmbeddedQueue(join(folder, 'jobs.db'));
  try {
    return await work(queue);
  } finally {
    await queue.close();
    rmSync(folder, { recursive: true });
  }
}

async function withRedis(work: (queue: JobQueue) => Promise<Round>): Promise<Round> {
  const server = await startRedisServer();
  const queue = openRedisQueue(
    server.url,
    createLogger({ service: 'bench', level: 'warn', destination: process.stderr }),
  );
  try {
    return await work(queue);
  } finally {
    await queue.close();
    await server.stop();
  }
}
