/** What a trainer survives: kill -9 and SIGTERM in the middle of a run, and another trainer on the same queue. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasRedisServer, startRedisServer } from '@slipway/shared/jobs/testing/redis-server.ts';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readRun } from '../../services/trainer/runs/run-folder.ts';
import { hasEnded } from '../../services/trainer/runs/run-state.ts';
import { type FeedEvent, readFeed } from './testing/read-feed.ts';
import { ask, newFolders, post, recipe } from './testing/test-trainer.ts';
import { startTrainerProcess } from './testing/trainer-process.ts';

const long = recipe().replace('max_steps: 30', 'max_steps: 400');
const kernel = { step_milliseconds: 10 };

const stepOf = ({ event, data }: FeedEvent): number =>
  event === 'trainer.metrics.progress.v1' ? JSON.parse(data).data.step : 0;

/** Step -> loss. */
function curve(events: readonly FeedEvent[]): Map<number, number> {
  return new Map(
    events.filter((event) => stepOf(event) > 0).map((event) => [stepOf(event), JSON.parse(event.data).data.loss]),
  );
}

describe('a service that is killed in the middle of a run', () => {
  it.each(['SIGKILL', 'SIGTERM'] as const)('by %s is gone on with, and so are its events', async (signal) => {
    const folders = newFolders();
    const first = await startTrainerProcess(folders, { kernel });
    const { id } = (await post(first.url, '/runs/train', long)).body;
    const before = await readFeed(`${first.url}/runs/${id}/events`, 0, (event) => stepOf(event) >= 75);
    const last = before.events.at(-1)?.id;
    const code = await first.end(signal);
    if (signal === 'SIGTERM') {
      expect(code).toBe(0);
      const run = await readRun(folders.data, id);
      expect(run.state).toBe('queued');
      // At a step of its own choice, not only at every tenth.
      expect(run.checkpoint_step).toBeGreaterThanOrEqual(75);
    }

    const second = await startTrainerProcess(folders, { kernel });
    const after = await readFeed(`${second.url}/runs/${id}/events`, last);
    const all = [...before.events, ...after.events];
    expect(all.map((event) => event.id)).toEqual(all.map((_, index) => index + 1));
    const resumed = all
      .filter(({ event }) => event === 'trainer.metrics.config.v1')
      .map(({ data }) => JSON.parse(data).data);
    expect(resumed.length).toBe(2);
    expect(resumed[1].resumed_from).toBeGreaterThanOrEqual(70);
    expect(all.at(-1)?.event).toBe('trainer.job.completed.v1');

    const undisturbed = newFolders();
    const third = await startTrainerProcess(undisturbed, { kernel: { step_milliseconds: 0 } });
    const other = (await post(third.url, '/runs/train', long)).body.id;
    const expected = curve((await readFeed(`${third.url}/runs/${other}/events`)).events);
    const seen = curve(all);
    for (const [step, loss] of seen) expect(loss).toBe(expected.get(step));
    // A checkpoint can be there before anybody has written down what led to it.
    const unseen = [...expected.keys()].filter((step) => !seen.has(step));
    const lastBefore = Math.max(...before.events.map(stepOf));
    expect(unseen.filter((step) => step <= lastBefore || step > resumed[1].resumed_from)).toEqual([]);
  });
});

describe.skipIf(!hasRedisServer)('two services on one Redis', () => {
  async function startTwo(kernel: Record<string, unknown>, leaseMilliseconds: number) {
    const folders = newFolders();
    const redis = await startRedisServer();
    onTestFinished(() => redis.stop());
    const start = (worker: string) =>
      startTrainerProcess(folders, { config: { jobsUrl: redis.url, worker }, kernel, leaseMilliseconds });
    return { folders, redis, services: await Promise.all([start('one'), start('two')]) };
  }

  it('work on every run once between them', { timeout: 300_000 }, async () => {
    // Redis syncs every command to a disk that other tests write to as well: a lease that nobody loses need not be prolonged often.
    const { folders, services } = await startTwo({ step_milliseconds: 3 }, 30_000);
    const ids: string[] = [];
    for (let count = 0; count < 8; count++) {
      const { url } = services[count % 2] ?? { url: '' };
      ids.push((await post(url, '/runs/train', recipe())).body.id);
    }
    for (const id of ids) {
      while (!hasEnded((await readRun(folders.data, id)).state)) await sleep(50);
    }
    const [{ url } = { url: '' }] = services;
    for (const id of ids) {
      const { events } = await readFeed(`${url}/runs/${id}/events`);
      const begun = events.filter(({ event }) => event === 'trainer.job.started.v1');
      expect(begun).toHaveLength(1);
      expect(events.filter((event) => stepOf(event) > 0)).toHaveLength(30);
      expect((await ask(url, `/runs/${id}`)).body).toMatchObject({ state: 'succeeded', attempts: 1 });
    }
    expect((await ask(url, '/readyz')).body).toEqual({ ready: true });
  });

  it('are not ready while it is away, and take runs again when it is back', { timeout: 120_000 }, async () => {
    const { folders, redis, services } = await startTwo(kernel, 1000);
    const [{ url }] = services;
    const says = async (answer: object, gauge: string) => {
      while ((await ask(url, '/readyz')).body.ready !== (gauge === '1')) await sleep(50);
      expect((await ask(url, '/readyz')).body).toEqual(answer);
      expect((await ask(url, '/metrics')).text).toContain(`\nslipway_ready ${gauge}\n`);
    };
    await says({ ready: true }, '1');
    await redis.kill();
    await says({ ready: false, reason: 'the queue does not answer' }, '0');
    // A caller who hears nothing asks again, and would have as many runs.
    expect((await post(url, '/runs/train', recipe())).status).toBe(503);
    expect((await ask(url, '/runs')).body.data).toEqual([]);
    await redis.start();
    await says({ ready: true }, '1');
    const { id } = (await post(url, '/runs/train', recipe())).body;
    while (!hasEnded((await readRun(folders.data, id)).state)) await sleep(50);
    expect((await ask(url, `/runs/${id}`)).body.state).toBe('succeeded');
  });

  it('go on with what the other was killed over', { timeout: 300_000 }, async () => {
    const { folders, services } = await startTwo(kernel, 1000);
    const [one, two] = services;
    const ids = await Promise.all(services.map(async ({ url }) => (await post(url, '/runs/train', long)).body.id));
    const begun = await Promise.all(
      ids.map((id) => readFeed(`${two.url}/runs/${id}/events`, 0, (event) => stepOf(event) >= 20)),
    );
    await one.end('SIGKILL');
    for (const [index, id] of ids.entries()) {
      const { events } = await readFeed(`${two.url}/runs/${id}/events`, begun[index]?.events.at(-1)?.id);
      expect(events.at(-1)?.event).toBe('trainer.job.completed.v1');
    }
    const attempts = await Promise.all(ids.map(async (id) => (await readRun(folders.data, id)).attempts));
    expect(attempts.sort()).toEqual([1, 2]);
  });
});
