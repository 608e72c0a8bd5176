/** A service that follows a name in the bucket: versions are swapped under load, and nobody notices but by the answers. */
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { startS3Server } from '@slipway/shared/bucket/testing/s3-server.ts';
import { loadServiceConfig, type ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { GenerateAnswer, GenerateDelta } from '@slipway/shared/contracts/generate.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Service, startService } from '../../services/inference/http/service.ts';
import type { MemoryReadings } from '../../services/inference/models/memory.ts';
import { ModelRegistry } from '../../services/inference/models/registry.ts';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';
import { emptyBucket, NAME, publishVariant } from './testing/versions-bucket.ts';

/** Many processes on few cores: what takes a second alone may take a minute. */
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 180_000 });

const REQUEST = { prompt: 'Once upon a time', max_new_tokens: 60, temperature: 0, seed: 1 };

let bucket: Bucket;
let models: ModelRegistry;
let service: Service | undefined;

beforeEach(async () => {
  bucket = emptyBucket();
  expect(await publishVariant(bucket, 1)).toBe('v001');
  expect(await publishVariant(bucket, 1.3)).toBe('v002');
  await bucket.setAlias(NAME, 'champion', 'v001');
});
afterEach(async () => {
  await service?.close();
  service = undefined;
});

async function start(config: Partial<ServiceConfig> = {}, memory?: () => MemoryReadings): Promise<Service> {
  const settings: ServiceConfig = {
    ...(await loadServiceConfig({ path: null })),
    port: 0,
    host: '127.0.0.1',
    bucketUrl: bucket.location,
    model: NAME,
    threads: 1,
    slots: 8,
    pollSeconds: 0.05,
    ...config,
  };
  const log = createLogger({ service: 'test', level: 'silent', destination: silence });
  models = new ModelRegistry(settings, log, memory);
  await models.mainLoaded;
  service = await startService({ config: settings, models, log });
  return service;
}

async function get(path: string) {
  const response = await fetch(`${service?.url}${path}`);
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  return (await response.json()) as any;
}

const generate = (body: object = {}) =>
  fetch(`${service?.url}/generate`, { method: 'POST', body: JSON.stringify({ ...REQUEST, ...body }) });
const servedVersion = async (): Promise<string> => (await get('/model-info')).version;
const isServing = (version: string) => eventually(servedVersion, (served) => served === version, PATIENCE);
const detail = () => models.main.following()?.detail ?? '';

/** Process ids of this process's engines. */
function engines(): number[] {
  return readdirSync('/proc/self/task').flatMap((thread) =>
    readFileSync(`/proc/self/task/${thread}/children`, 'utf8')
      .split(' ')
      .filter((pid) => pid !== '')
      .map(Number)
      .filter((pid) => commandOf(pid).includes('child-main')),
  );
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** `done` repeats no text. */
function textOf(events: readonly { readonly data: unknown }[]): string {
  return events.map(({ data }) => (data as GenerateDelta).text).join('');
}

interface Seen {
  readonly fingerprint: string;
  readonly text: string;
}

/** Clients that ask without a pause until `stop`; half of them read streams. Rejects with the first answer that is no answer. */
function keepAsking(clients: number): { stop(): Promise<Seen[]> } {
  const seen: Seen[] = [];
  let stopped = false;
  const client = async (index: number) => {
    while (!stopped) {
      const response = await generate({ stream: index % 2 === 1 });
      if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
      if (index % 2 === 0) {
        const { text, system_fingerprint } = (await response.json()) as GenerateAnswer;
        seen.push({ text, fingerprint: system_fingerprint });
        continue;
      }
      const events = await allEvents(response);
      const last = events.pop();
      if (last?.event !== 'done') throw new Error(`a stream ended with ${JSON.stringify(last)}`);
      seen.push({ text: textOf(events), fingerprint: (last.data as GenerateAnswer).system_fingerprint });
    }
  };
  const all = Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
  // Told by `stop`.
  all.catch(() => {});
  return {
    async stop() {
      // Time for the version that answers now to be seen.
      await new Promise((resolve) => setTimeout(resolve, 200));
      stopped = true;
      await all;
      return seen;
    },
  };
}

describe.skipIf(process.platform !== 'linux')('following', () => {
  it('swaps versions under load without a failed request: promote, roll back, promote', async () => {
    await start();
    const fingerprints = new Map([['v001', (await get('/model-info')).system_fingerprint]]);
    const load = keepAsking(8);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
    fingerprints.set('v002', (await get('/model-info')).system_fingerprint);
    await bucket.rollback(NAME);
    await isServing('v001');
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
    const seen = await load.stop();

    const texts = new Map<string, Set<string>>();
    for (const { fingerprint, text } of seen) texts.set(fingerprint, (texts.get(fingerprint) ?? new Set()).add(text));
    // Both answered, each always the same, and each other than the other.
    expect([...texts.keys()].sort()).toEqual([...fingerprints.values()].sort());
    for (const own of texts.values()) expect(own.size).toBe(1);
    expect(new Set([...texts.values()].map((own) => [...own][0])).size).toBe(2);
    expect(seen.length).toBeGreaterThan(20);
    // The memory of those before has been given back.
    await eventually(engines, (pids) => pids.length === 1, PATIENCE);
    await eventually(detail, (text) => text === '', PATIENCE);
    expect(models.totals().get(NAME)).toEqual({ loads: 4, failures: 0, swaps: 3, unloads: 3 });
  });

  it('names what it follows and serves, and answers to the aliases that point there', async () => {
    await start({ model: `${NAME}@champion` });
    expect(await get('/model-info')).toMatchObject({
      version: 'v001',
      aliases: ['champion'],
      following: { reference: `${NAME}@champion`, every_seconds: 0.05, wanted: null, detail: null },
    });
    expect((await generate({ model: `${NAME}@champion` })).status).toBe(200);
    expect((await generate({ model: `${NAME}@latest` })).status).toBe(404);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
    expect((await generate({ model: `${NAME}@latest` })).status).toBe(200);
    expect((await generate({ model: `${NAME}@v001` })).status).toBe(404);
  });

  it('stays with a version that was asked for, and with any when it is told not to look', async () => {
    await start({ model: `${NAME}@v001` });
    expect((await get('/model-info')).following).toBeNull();
    await service?.close();
    await start({ pollSeconds: 0 });
    expect((await get('/model-info')).following).toBeNull();
  });

  it('lets a long answer finish on the version it began with', async () => {
    await start({ slots: 2 });
    const before = await allEvents(await generate({ stream: true, max_new_tokens: 400, ignore_eos: true }));
    const stream = await generate({ stream: true, max_new_tokens: 400, ignore_eos: true });
    await bucket.setAlias(NAME, 'champion', 'v002');
    const [events] = await Promise.all([allEvents(stream), isServing('v002')]);
    expect(textOf(events)).toBe(textOf(before));
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { usage: { completion_tokens: 400 } } });
  });

  it('goes on with the old version when the new one cannot be opened, says why, and takes the next', async () => {
    await start();
    const broken = await publishVariant(bucket, 1.1, true);
    const load = keepAsking(2);
    await bucket.setAlias(NAME, 'champion', broken);
    await eventually(detail, (text) => /^v003 cannot be served: .*; v001 goes on serving$/.test(text), PATIENCE);
    const ready = await fetch(`${service?.url}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      { ready: true, model: NAME, detail: expect.stringMatching(/^v003 (cannot be served|is being loaded)/) },
    ]);
    expect(await get('/model-info')).toMatchObject({ version: 'v001', following: { wanted: 'v003' } });
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
    expect(new Set((await load.stop()).map(({ text }) => text)).size).toBe(2);
    expect((await get('/model-info')).following.wanted).toBeNull();
  });

  it('goes on with the old version when the new engine is killed while it loads, and tries again', async () => {
    await start();
    const [own] = engines();
    const load = keepAsking(2);
    await bucket.setAlias(NAME, 'champion', 'v002');
    let killed = 0;
    await eventually(
      () => {
        for (const pid of engines().filter((found) => found !== own)) {
          process.kill(pid, 'SIGKILL');
          killed++;
        }
        return detail();
      },
      (text) => /^v002 cannot be served: .*SIGKILL.*; v001 goes on serving$/.test(text),
      20_000,
    );
    expect(killed).toBeGreaterThanOrEqual(3);
    expect(models.main.state()).toMatchObject({ kind: 'ready', model: { manifest: { version: 'v001' } } });
    await isServing('v002');
    expect(new Set((await load.stop()).map(({ text }) => text)).size).toBe(2);
  });

  it('drops a version that was taken back and removed while it was being loaded', async () => {
    await start();
    const load = keepAsking(2);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await eventually(detail, (text) => text.includes('v002 is being loaded'), PATIENCE);
    await bucket.rollback(NAME);
    await bucket.remove(NAME, 'v002');
    await bucket.collect({ graceMs: 0 });
    await eventually(detail, (text) => text !== 'v002 is being loaded beside v001', PATIENCE);
    await eventually(engines, (pids) => pids.length === 1, PATIENCE);
    expect(await servedVersion()).toBe('v001');
    expect(new Set((await load.stop()).map(({ text }) => text)).size).toBe(1);
  });

  it('does not load what does not fit beside the one that runs, says so, and does when there is room', async () => {
    let free = 20_000;
    await start({}, () => ({ limit: null, usage: null, stat: null, meminfo: `MemAvailable: ${free} kB\n` }));
    await bucket.setAlias(NAME, 'champion', 'v002');
    const why =
      /^story@v002 is not loaded: it needs about \d+ MiB of memory, and 20 MiB are free; v001 goes on serving$/;
    await eventually(detail, (text) => why.test(text), PATIENCE);
    expect((await get('/readyz')).detail).toMatch(why);
    expect((await get('/model-info')).following).toMatchObject({ wanted: 'v002', detail: expect.stringMatching(why) });
    expect(engines()).toHaveLength(1);
    free = 20_000_000;
    await isServing('v002');
  });

  it('goes on serving while the bucket cannot be read, and follows again afterwards', async () => {
    await start();
    renameSync(bucket.location, `${bucket.location}-away`);
    await eventually(detail, (text) => text.startsWith(`where ${NAME} points could not be seen: `), PATIENCE);
    expect((await generate()).status).toBe(200);
    renameSync(`${bucket.location}-away`, bucket.location);
    await eventually(detail, (text) => text === '', PATIENCE);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
  });

  it('follows a bucket on S3 as well, under load', async ({ skip, onTestFinished }) => {
    const server = await startS3Server();
    if (typeof server === 'string') return skip(server);
    const cache = mkdtempSync(join(tmpdir(), 'slipway-follow-cache-'));
    vi.stubEnv('SLIPWAY_CACHE_DIR', cache);
    onTestFinished(async () => {
      vi.unstubAllEnvs();
      rmSync(cache, { recursive: true, force: true });
      await server.stop();
    });
    const address = `s3://${server.bucket}/models?endpoint=${encodeURIComponent(server.endpoint)}`;
    bucket = openBucket(address);
    await publishVariant(bucket, 1);
    await publishVariant(bucket, 1.3);
    await bucket.setAlias(NAME, 'champion', 'v001');
    await start({ bucketUrl: address });
    const load = keepAsking(4);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await isServing('v002');
    await bucket.rollback(NAME);
    await isServing('v001');
    expect(new Set((await load.stop()).map(({ text }) => text)).size).toBe(2);
    await service?.close();
    service = undefined;
  });

  it('ends both engines when it is closed in the middle of a swap', async () => {
    await start();
    await bucket.setAlias(NAME, 'champion', 'v002');
    await eventually(engines, (pids) => pids.length === 2, PATIENCE);
    await service?.close();
    service = undefined;
    expect(engines()).toEqual([]);
  });
});
