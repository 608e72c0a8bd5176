/**
 * What every job queue must do, as one suite that each implementation runs. Knows the contract, not where jobs are kept. Times are real:
 * leases are short, and whatever has to come is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Claim, type JobQueue, LeaseLostError } from './job-queue.ts';
import { jobNamed } from './testing/job-named.ts';

/** Long enough that nothing here lets it pass by accident. */
const LONG = 600_000;
const SHORT = 30;

/** Two handles on one new, empty store, as two processes have them. */
export type OpenQueues = () => Promise<readonly [JobQueue, JobQueue]>;

export function jobQueueConformance(kind: string, open: OpenQueues): void {
  describe(`${kind}: what is enqueued`, () => {
    it('is found, listed and claimed in the order it came', async () => {
      const [queue, other] = await open();
      for (const id of ['one', 'two', 'three']) await queue.enqueue(jobNamed(id, { payload: { text: `${id} ☂` } }));
      expect(await other.find('two')).toMatchObject({ state: 'waiting', payload: { text: 'two ☂' }, attempts: 0 });
      expect(ids(await other.list({ queue: 'work', limit: 10 }))).toEqual(['three', 'two', 'one']);
      const claims = [];
      for (const handle of [other, queue, other]) claims.push(await taken(handle));
      expect(claims.map(({ job }) => job.id)).toEqual(['one', 'two', 'three']);
      expect(claims[0]?.job).toMatchObject({ state: 'running', attempts: 1, isCancelling: false });
      expect(await queue.claim('work', LONG)).toBeUndefined();
    });

    it('is claimed by urgency first, and tried again with the same', async () => {
      const [queue, other] = await open();
      const sent = { a: 'low', b: 'normal', c: 'high', d: 'normal', e: 'high' } as const;
      for (const [id, priority] of Object.entries(sent)) await queue.enqueue(jobNamed(id, { priority }));
      expect(await other.find('c')).toMatchObject({ priority: 'high' });
      const first = await taken(other);
      await other.settle(first, { kind: 'released' });
      const order = [];
      for (let n = 0; n < 5; n++) order.push((await taken(queue)).job.id);
      expect(order).toEqual(['c', 'e', 'b', 'd', 'a']);
    });

    it('is there once, however often it is sent', async () => {
      const [queue, other] = await open();
      const first = await queue.enqueue(jobNamed('same', { payload: { a: [1, { b: null }] } }));
      expect(await other.enqueue(jobNamed('same', { payload: { a: [1, { b: null }] } }))).toEqual(first);
      expect(await queue.list({ queue: 'work', limit: 10 })).toHaveLength(1);
      await expect(queue.enqueue(jobNamed('same', { payload: 'other' }))).rejects.toMatchObject({ code: 'conflict' });
      await expect(queue.enqueue(jobNamed('same', { owner: 'bo' }))).rejects.toMatchObject({ code: 'conflict' });
      await queue.settle(await taken(queue), { kind: 'completed', result: 7 });
      expect(await other.enqueue(jobNamed('same', { payload: { a: [1, { b: null }] } }))).toMatchObject({
        state: 'completed',
        result: 7,
      });
      expect(await queue.claim('work', LONG)).toBeUndefined();
    });

    it('is listed by queue and owner, page after page', async () => {
      const [queue] = await open();
      for (let n = 0; n < 7; n++) await queue.enqueue(jobNamed(`job-${n}`, { owner: n % 2 === 0 ? 'ada' : 'bo' }));
      await queue.enqueue(jobNamed('elsewhere', { queue: 'other', owner: 'ada' }));
      const page = { queue: 'work', owner: 'ada', limit: 2 };
      expect(ids(await queue.list(page))).toEqual(['job-6', 'job-4']);
      expect(ids(await queue.list({ ...page, after: 'job-4' }))).toEqual(['job-2', 'job-0']);
      expect(ids(await queue.list({ ...page, after: 'job-0' }))).toEqual([]);
      expect(ids(await queue.list({ ...page, after: 'unknown' }))).toEqual([]);
    });

    it('is claimed only from its own queue, and once among many', async () => {
      const [queue, other] = await open();
      for (let n = 0; n < 20; n++) await queue.enqueue(jobNamed(`job-${n}`));
      expect(await other.claim('elsewhere', LONG)).toBeUndefined();
      const claims = await Promise.all(
        Array.from({ length: 24 }, (_, n) => (n % 2 === 0 ? queue : other).claim('work', LONG)),
      );
      const claimed = claims.flatMap((claim) => (claim === undefined ? [] : [claim.job.id]));
      expect(claimed).toHaveLength(20);
      expect(new Set(claimed).size).toBe(20);
    });
  });

  describe(`${kind}: leases`, () => {
    it('pass to another claim when they are not prolonged, and the first one then can do nothing', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('left'));
      const lost = await taken(queue, SHORT);
      const next = await taken(other);
      expect(next.job).toMatchObject({ id: 'left', attempts: 2 });
      expect(next.token).toBeGreaterThan(lost.token);
      await expect(queue.heartbeat(lost, 'late')).rejects.toThrow(LeaseLostError);
      for (const outcome of [
        { kind: 'completed', result: 'late' },
        { kind: 'failed', error: 'late', retry: false },
        { kind: 'cancelled', result: 'late' },
        { kind: 'released' },
      ] as const) {
        await expect(queue.settle(lost, outcome)).rejects.toThrow(LeaseLostError);
      }
      expect(await queue.find('left')).toMatchObject({ state: 'running', progress: null });
      await other.settle(next, { kind: 'completed', result: 'mine' });
      await expect(other.settle(next, { kind: 'completed', result: 'again' })).rejects.toThrow(LeaseLostError);
      expect(await queue.find('left')).toMatchObject({ state: 'completed', result: 'mine' });
    });

    it('are held as long as there are heartbeats, which tell how far it is', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('long'));
      const claim = await taken(queue, 1000);
      for (let step = 1; step <= 8; step++) {
        await sleep(200);
        expect(await queue.heartbeat(claim, { step })).toBe(false);
        expect(await other.claim('work', LONG)).toBeUndefined();
      }
      await queue.heartbeat(claim);
      expect(await other.find('long')).toMatchObject({ progress: { step: 8 }, state: 'running' });
    });

    it('of a job that has passed but nobody has taken can still be settled', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('slow'));
      const claim = await taken(queue, SHORT);
      await sleep(SHORT * 2);
      await queue.settle(claim, { kind: 'completed', result: null });
      expect(await queue.find('slow')).toMatchObject({ state: 'completed' });
    });

    it('that pass too often end the job', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('deadly', { maxAttempts: 2 }));
      await taken(queue, SHORT);
      await taken(queue, SHORT);
      do {
        await sleep(SHORT * 2);
        expect(await queue.claim('work', LONG)).toBeUndefined();
        // Taken from its worker it waits for a moment, until a claim finds that it has vanished too often.
      } while ((await queue.find('deadly'))?.endedAt === null);
      expect(await queue.find('deadly')).toMatchObject({ state: 'failed', error: 'its worker vanished 2 times' });
    });
  });

  describe(`${kind}: outcomes`, () => {
    it('end a job for good', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('good'));
      await queue.settle(await taken(queue), { kind: 'completed', result: { file: 'x' } });
      await queue.enqueue(jobNamed('bad'));
      await queue.settle(await taken(queue), { kind: 'failed', error: 'no such file', retry: false });
      const good = await other.find('good');
      expect(good).toMatchObject({ state: 'completed', result: { file: 'x' }, error: null });
      expect(good?.endedAt).toBeGreaterThanOrEqual(good?.startedAt ?? Number.POSITIVE_INFINITY);
      expect(await other.find('bad')).toMatchObject({ state: 'failed', error: 'no such file', result: null });
      expect(await other.claim('work', LONG)).toBeUndefined();
    });

    it('that ask for it are tried again after a pause, until the attempts are used up', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('shaky', { maxAttempts: 2 }));
      await queue.settle(await taken(queue), { kind: 'failed', error: 'first', retry: true });
      expect(await queue.find('shaky')).toMatchObject({ state: 'waiting', error: 'first', endedAt: null });
      expect(await queue.claim('work', LONG)).toBeUndefined();
      const second = await taken(queue);
      expect(second.job.attempts).toBe(2);
      await queue.settle(second, { kind: 'failed', error: 'second', retry: true });
      expect(await queue.find('shaky')).toMatchObject({ state: 'failed', error: 'second' });
    });

    it('do not hold up others while a job waits to be tried again', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('shaky'));
      await queue.enqueue(jobNamed('steady'));
      await queue.settle(await taken(queue), { kind: 'failed', error: 'first', retry: true });
      expect((await taken(queue)).job.id).toBe('steady');
    });

    it('give a job back at once, and that counts as no attempt', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('handed', { maxAttempts: 1 }));
      for (let round = 0; round < 3; round++) {
        const claim = await taken(queue);
        await queue.heartbeat(claim, { round });
        await queue.settle(claim, { kind: 'released' });
      }
      const claim = await other.claim('work', LONG);
      expect(claim?.job).toMatchObject({ attempts: 1, progress: { round: 2 } });
    });
  });

  describe(`${kind}: cancelling`, () => {
    it('ends at once what was never begun', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('early'));
      expect(await queue.cancel('early')).toMatchObject({ state: 'cancelled' });
      expect(await queue.claim('work', LONG)).toBeUndefined();
      expect((await queue.find('early'))?.endedAt).not.toBeNull();
      expect(await queue.cancel('unknown')).toBeUndefined();
    });

    it('is told to the worker, who ends it', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('midway'));
      const claim = await taken(queue);
      expect(await other.cancel('midway')).toMatchObject({ state: 'running', isCancelling: true });
      expect(await queue.heartbeat(claim)).toBe(true);
      await queue.settle(claim, { kind: 'cancelled', result: { done: 3 } });
      expect(await other.find('midway')).toMatchObject({ state: 'cancelled', result: { done: 3 } });
    });

    it('is told to the next worker when the first one is gone', async () => {
      const [queue, other] = await open();
      await queue.enqueue(jobNamed('orphan'));
      await taken(queue, SHORT);
      expect(await queue.cancel('orphan')).toMatchObject({ state: 'running', isCancelling: true });
      const claim = await taken(other);
      expect(claim.job).toMatchObject({ id: 'orphan', isCancelling: true, attempts: 2 });
    });

    it('waits for a worker where one had begun and given it back', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('handed'));
      await queue.settle(await taken(queue), { kind: 'failed', error: 'x', retry: true });
      expect(await queue.cancel('handed')).toMatchObject({ state: 'waiting', isCancelling: true });
      expect((await taken(queue)).job).toMatchObject({ id: 'handed', isCancelling: true });
    });

    it('wins over another attempt, and loses against an end', async () => {
      const [queue] = await open();
      await queue.enqueue(jobNamed('failing'));
      const failing = await taken(queue);
      await queue.cancel('failing');
      await queue.settle(failing, { kind: 'failed', error: 'x', retry: true });
      expect(await queue.find('failing')).toMatchObject({ state: 'cancelled' });
      await queue.enqueue(jobNamed('done'));
      await queue.settle(await taken(queue), { kind: 'completed', result: 1 });
      expect(await queue.cancel('done')).toMatchObject({ state: 'completed', result: 1 });
    });
  });
}

/** The next claim, waited for. */
async function taken(queue: JobQueue, leaseMilliseconds = LONG): Promise<Claim> {
  for (let round = 0; round < 1000; round++) {
    const claim = await queue.claim('work', leaseMilliseconds);
    if (claim !== undefined) return claim;
    await sleep(10);
  }
  throw new Error('nothing came to be claimed');
}

function ids(jobs: readonly { readonly id: string }[]): string[] {
  return jobs.map(({ id }) => id);
}
