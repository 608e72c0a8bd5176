import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import { describe, expect, it, vi } from 'vitest';
import { Occupancy } from './occupancy.ts';

const WORK = { promptTokens: 10, maxNewTokens: 10, sequences: 1 };
const ENGINE = { slots: 1 };
const soon = () => steadyNow() + 60_000;
const never = new AbortController().signal;

function task() {
  const { promise, resolve } = Promise.withResolvers<string>();
  let started = false;
  const run = () => {
    started = true;
    return promise;
  };
  return { run, end: () => resolve('done'), started: () => started };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('Occupancy', () => {
  it('runs as many at once as it has permits, in order', async () => {
    const occupancy = new Occupancy(2, 8);
    const tasks = [task(), task(), task()];
    const results = tasks.map(({ run }) => occupancy.run(WORK, ENGINE, soon(), never, run));
    await settle();
    expect(tasks.map((one) => one.started())).toEqual([true, true, false]);
    expect([occupancy.running, occupancy.waiting]).toEqual([2, 1]);
    tasks[1]?.end();
    await results[1];
    await settle();
    expect(tasks[2]?.started()).toBe(true);
    for (const one of tasks) one.end();
    await Promise.all(results);
    expect([occupancy.running, occupancy.waiting]).toEqual([0, 0]);
  });

  it('refuses when the queue is full', async () => {
    const occupancy = new Occupancy(1, 1);
    const tasks = [task(), task()];
    const results = tasks.map(({ run }) => occupancy.run(WORK, ENGINE, soon(), never, run));
    expect(() => occupancy.run(WORK, ENGINE, soon(), never, task().run)).toThrow(
      /the queue is full \(\d requests? wait/,
    );
    for (const one of tasks) one.end();
    await Promise.all(results);
  });

  it('forgets one that leaves while it waits, and never runs it', async () => {
    const occupancy = new Occupancy(1, 1);
    const [first, left, next] = [task(), task(), task()];
    const firstResult = occupancy.run(WORK, ENGINE, soon(), never, first.run);
    const abort = new AbortController();
    const leftResult = occupancy.run(WORK, ENGINE, soon(), abort.signal, left.run);
    await settle();
    abort.abort(new Error('left'));
    await expect(leftResult).rejects.toThrow('left');
    expect(occupancy.waiting).toBe(0);
    const nextResult = occupancy.run(WORK, ENGINE, soon(), never, next.run);
    first.end();
    next.end();
    await Promise.all([firstResult, nextResult]);
    expect([left.started(), next.started()]).toEqual([false, true]);
  });

  it('keeps nothing of the task and the signal of one that left', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const occupancy = new Occupancy(1, 4);
    const first = task();
    const firstResult = occupancy.run(WORK, ENGINE, soon(), never, first.run);
    const kept = await leaveWithABigTask(occupancy);
    // What a turn of the event loop still has at hand is not collected in it.
    await vi.waitFor(async () => {
      await settle();
      collectGarbage();
      // No more than that: a failed expectation is kept with what it was of until the next one.
      expect(kept.map((one) => one.deref() === undefined)).toEqual([true, true]);
    }, 5000);
    first.end();
    await firstResult;
  });

  it('gives its permit back when a task fails, and takes nobody who has already left', async () => {
    const occupancy = new Occupancy(1, 0);
    await expect(occupancy.run(WORK, ENGINE, soon(), never, () => Promise.reject(new Error('broken')))).rejects.toThrow(
      'broken',
    );
    await expect(occupancy.run(WORK, ENGINE, soon(), AbortSignal.abort(new Error('gone')), task().run)).rejects.toThrow(
      'gone',
    );
    await settle();
    await expect(occupancy.run(WORK, ENGINE, soon(), never, async () => 'fine')).resolves.toBe('fine');
  });

  it('refuses at once what could not be done by its deadline, once it knows the pace', async () => {
    const occupancy = new Occupancy(1, 8);
    occupancy.observe({ work: WORK, prefillSeconds: 5, decodeSeconds: 45, generatedTokens: 10 }, ENGINE);
    const running = task();
    const result = occupancy.run(WORK, ENGINE, soon(), never, running.run);
    expect(() => occupancy.run(WORK, ENGINE, soon(), never, task().run)).toThrow(
      /would not be done before its deadline/,
    );
    // The slow one's pace says nothing of another model, but its work is ahead of it all the same.
    const other = { slots: 1 };
    const quick = occupancy.run(WORK, other, soon(), never, async () => 'quick');
    expect(() => occupancy.run(WORK, other, steadyNow() + 30_000, never, task().run)).toThrow(/before its deadline/);
    running.end();
    await Promise.all([result, quick]);
  });
});

/** A function of its own, so that the test holds neither. */
async function leaveWithABigTask(occupancy: Occupancy): Promise<WeakRef<object>[]> {
  const abort = new AbortController();
  const prompt = Array.from({ length: 1000 }, (_, index) => index);
  const result = occupancy.run(WORK, ENGINE, soon(), abort.signal, async () => prompt.length);
  abort.abort(new Error('left'));
  // Not by expect, which remembers what it was given.
  await result.catch(() => {});
  return [new WeakRef(prompt), new WeakRef(abort.signal)];
}
