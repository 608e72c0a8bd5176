/** Several models in one service: loaded, named, listed and unloaded, each in an engine of its own. */
import { renameSync } from 'node:fs';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';
import { engines, REQUEST, serveBucket } from './testing/registry-service.ts';
import { emptyBucket, NAME, publishVariant } from './testing/versions-bucket.ts';

/** Many processes on few cores: what takes a second alone may take a minute. */
const PATIENCE = 60_000;
vi.setConfig({ testTimeout: 180_000 });

let bucket: Bucket;
beforeEach(async () => {
  bucket = emptyBucket();
  await publishVariant(bucket, 1);
  await publishVariant(bucket, 1.3);
  await bucket.setAlias(NAME, 'champion', 'v001');
  await publishVariant(bucket, 1.6, false, 'tale');
});

describe.skipIf(process.platform !== 'linux')('several models', () => {
  it('answer side by side, each from an engine of its own, until one is unloaded', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    const alone = (await service.generate()).body.text;
    expect(await service.load('tale')).toMatchObject({
      status: 200,
      body: { model: 'tale', version: 'v001', precision: 'fp32' },
    });
    expect(engines()).toHaveLength(2);
    const tale = await service.generate({ model: 'tale' });
    expect(tale.body).toMatchObject({ model: 'tale', text: expect.not.stringMatching(alone) });
    expect((await service.generate({ model: 'tale@v001' })).body.text).toBe(tale.body.text);
    expect((await service.generate()).body.text).toBe(alone);
    expect((await service.generate({ model: 'org/tale' })).status).toBe(200);

    expect(await service.unload('tale')).toEqual({
      status: 200,
      body: { model: 'tale', version: 'tale@v001', still_loaded_as: [] },
    });
    expect(engines()).toHaveLength(1);
    const { status, body } = await service.generate({ model: 'tale' });
    expect(status).toBe(404);
    expect(body.error.message).toBe(
      'model "tale" is in the bucket but not loaded; POST /models/load {"model": "tale"} loads it, and with MODELS_ON_DEMAND=true so does a request for it',
    );
    expect((await service.generate({ model: 'saga' })).body.error.message).toBe(
      'model "saga" is not served here; story or story@v001 is',
    );
  });

  it("have each a name of its own in OpenAI's list, by which it answers", async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load(`${NAME}@v002`);
    await service.load('tale@v001');
    const { data } = await service.get('/v1/models');
    const ids = data.map(({ id }: { id: string }) => id);
    expect(ids).toEqual([NAME, `${NAME}@v002`, 'tale@v001']);
    const texts: string[] = [];
    for (const model of ids) {
      expect((await service.get(`/v1/models/${model}`)).id).toBe(model);
      texts.push((await service.generate({ model })).body.text);
    }
    expect(new Set(texts).size).toBe(ids.length);
  });

  it('are listed with all versions, where their names point, and what is loaded of them', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load('tale@v001');
    await service.generate({ model: 'tale@v001' });
    const list = await service.get('/api/v1/models');
    expect(list.unreadable).toEqual([]);
    expect(list.memory.engines_bytes).toBeGreaterThan(20 * 2 ** 20);
    const [story, tale] = list.models;
    expect(story).toMatchObject({
      name: NAME,
      bucket: bucket.location,
      aliases: { champion: 'v001', latest: 'v002' },
      versions: [
        { version: 'v001', precision: 'fp32', is_loaded: true },
        { version: 'v002', precision: 'fp32', is_loaded: false },
      ],
      loaded: [{ name: NAME, is_default: true, version: 'v001', state: 'ready', following: { reference: NAME } }],
    });
    expect(tale.loaded).toEqual([
      {
        name: 'tale@v001',
        is_default: false,
        version: 'v001',
        state: 'ready',
        detail: null,
        following: null,
        memory_bytes: expect.any(Number),
        requests: 0,
        last_used_at: expect.any(String),
      },
    ]);
    // Measured of the one, estimated of the other.
    for (const version of story.versions) expect(version.expected_memory_bytes).toBeGreaterThan(20 * 2 ** 20);
  });

  it('may be two versions of one name, which a client tells apart by their numbers', async () => {
    const service = await serveBucket(bucket, { model: 'tale' });
    await Promise.all([service.load(`${NAME}@v001`), service.load(`${NAME}@v002`)]);
    const [one, two] = await Promise.all([
      service.generate({ model: `${NAME}@v001` }),
      service.generate({ model: `${NAME}@v002` }),
    ]);
    expect([one.status, two.status]).toEqual([200, 200]);
    expect(one.body.text).not.toBe(two.body.text);
    // No name that moves is held to be one of them.
    expect((await service.generate({ model: NAME })).status).toBe(404);
  });

  it('share an engine where several names lead to one version', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load(`${NAME}@v001`);
    await service.load(`${NAME}@champion`);
    expect(engines()).toHaveLength(1);
    expect((await service.unload(`${NAME}@v001`)).body).toEqual({
      model: `${NAME}@v001`,
      version: `${NAME}@v001`,
      still_loaded_as: [NAME, `${NAME}@champion`],
    });
    expect((await service.generate()).status).toBe(200);
    // The others follow their alias, the version that was asked for by its number would not have.
    await service.load(`${NAME}@v001`);
    await bucket.setAlias(NAME, 'champion', 'v002');
    await eventually(
      async () => [...(await service.loaded()).values()].map(({ name, version }) => `${name} ${version}`).sort(),
      (names) => `${names}` === `${[`${NAME} v002`, `${NAME}@champion v002`, `${NAME}@v001 v001`]}`,
      PATIENCE,
    );
    await eventually(engines, (pids) => pids.length === 2, PATIENCE);
  });

  it('are followed each by itself: a promoted version takes its place without a failed request', async () => {
    await publishVariant(bucket, 1.9, false, 'tale');
    await bucket.setAlias('tale', 'champion', 'v001');
    const service = await serveBucket(bucket, { model: NAME });
    await service.load('tale');
    const seen = new Set<string>();
    let over = false;
    const client = async () => {
      while (!over) {
        const { status, body } = await service.generate({ model: 'tale' });
        if (status !== 200) throw new Error(JSON.stringify(body));
        seen.add(body.system_fingerprint);
      }
    };
    const clients = Promise.all([client(), client(), client()]);
    await bucket.setAlias('tale', 'champion', 'v002');
    const served = async () => (await service.loaded()).get('tale')?.version;
    await Promise.race([eventually(served, (version) => version === 'v002', PATIENCE), clients]);
    over = true;
    await clients;
    seen.add((await service.generate({ model: 'tale' })).body.system_fingerprint);
    expect(seen.size).toBe(2);
    expect((await service.generate()).status).toBe(200);
  });

  it('are loaded once, however many ask at once', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    const answers = await Promise.all(Array.from({ length: 8 }, () => service.load('tale')));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    expect(engines()).toHaveLength(2);
    expect(service.models.totals().get('tale')).toMatchObject({ loads: 1 });
  });

  it('are not found while somebody loads what is not there, and not ready while it is', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    for (const [name, code] of Object.entries({
      saga: 'not_found',
      'tale@v009': 'not_found',
      tale: 'model_not_ready',
    })) {
      const loading = service.models.load(name);
      await expect(service.models.find(name), name).rejects.toMatchObject({ code });
      if (code === 'not_found') await expect(loading).rejects.toMatchObject({ code });
      else expect((await loading).name).toBe(name);
    }
  });

  it('finish their streams when they are unloaded, and take no new requests meanwhile', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load('tale');
    const long = { model: 'tale', max_new_tokens: 400, ignore_eos: true };
    const expected = (await service.generate(long)).body.text;
    const stream = await service.stream(long);
    const unloaded = service.unload('tale');
    await eventually(
      () => service.generate({ model: 'tale' }),
      ({ status }) => status === 404,
      PATIENCE,
    );
    const events = await allEvents(stream);
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { usage: { completion_tokens: 400 } } });
    expect(events.map(({ data }) => (data as { text: string }).text).join('')).toBe(expected);
    expect((await unloaded).status).toBe(200);
    expect(engines()).toHaveLength(1);
  });

  it('survive loads and unloads that cross each other, and leave nothing behind', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    const crossing = Array.from({ length: 24 }, async (_, index) => {
      await new Promise((resolve) => setTimeout(resolve, 40 * (index % 7)));
      return index % 3 === 0 ? service.unload('tale') : service.load('tale');
    });
    for (const { status, body } of await Promise.all(crossing)) {
      // Unloaded before it was there, given up while it was loaded, or done.
      expect([200, 404, 409], JSON.stringify(body)).toContain(status);
    }
    await service.load('tale');
    expect((await service.generate({ model: 'tale' })).status).toBe(200);
    expect(engines()).toHaveLength(2);
    await service.unload('tale');
    expect(engines()).toHaveLength(1);
    expect((await service.generate()).status).toBe(200);
  });

  it('refuse a broken version, say why, and serve the rest', async () => {
    await publishVariant(bucket, 1, true, 'broken');
    const service = await serveBucket(bucket, { model: NAME });
    const { status, body } = await service.load('broken');
    expect(status).toBeGreaterThanOrEqual(400);
    expect(body.error.message).toMatch(/serving|graph|onnx/i);
    expect((await service.loaded()).get('broken')).toMatchObject({ state: 'failed', detail: body.error.message });
    expect((await service.get('/readyz')).detail).toMatch(/^broken: /);
    expect(await service.generate({ model: 'broken' })).toMatchObject({
      status: 503,
      body: { error: { code: 'model_not_ready', message: `the model failed: ${body.error.message}` } },
    });
    expect((await service.generate()).status).toBe(200);
    expect((await service.unload('broken')).status).toBe(200);
    expect((await service.loaded()).has('broken')).toBe(false);
    expect(engines()).toHaveLength(1);
  });

  it('go on when the bucket is gone, which the list says', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load('tale');
    renameSync(bucket.location, `${bucket.location}-away`);
    expect((await service.generate({ model: 'tale' })).status).toBe(200);
    expect([...(await service.loaded()).keys()].sort()).toEqual([NAME, 'tale']);
    expect(await service.load('saga')).toMatchObject({ status: 404 });
    expect((await service.unload('tale')).status).toBe(200);
    renameSync(`${bucket.location}-away`, bucket.location);
    expect((await service.load('tale')).status).toBe(200);
  });

  it('take names and nothing else', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    for (const model of [
      '../../etc/passwd',
      '/etc',
      'a b',
      'tale@../v001',
      'tale@v001@x',
      '',
      7,
      null,
      ['tale'],
      'x'.repeat(300),
    ]) {
      for (const path of ['/models/load', '/models/unload', '/api/v1/models/load', '/api/v1/models/unload']) {
        const { status, body } = await service.tell(path, { model });
        expect([status, body.error.code], `${path} ${model}`).toEqual([422, 'invalid_field']);
      }
    }
    expect(await service.load('saga')).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    expect(await service.load('tale@v009')).toMatchObject({ status: 404 });
    expect(await service.unload('tale')).toMatchObject({
      status: 404,
      body: { error: { message: '"tale" is not loaded; story or story@v001 is' } },
    });
    expect([...(await service.loaded()).keys()]).toEqual([NAME]);
  });
});

describe.skipIf(process.platform !== 'linux')('the model for requests that name none', () => {
  it('can be unloaded and loaded again; the service stays ready for the others meanwhile', async () => {
    const service = await serveBucket(bucket, { model: NAME });
    await service.load('tale');
    expect((await service.unload(NAME)).status).toBe(200);
    expect(engines()).toHaveLength(1);
    const why = /^story was unloaded; POST \/models\/load/;
    expect(await service.get('/readyz')).toEqual({ ready: true, model: null, detail: expect.stringMatching(why) });
    expect(await service.tell('/generate', REQUEST)).toMatchObject({
      status: 503,
      body: { error: { code: 'model_not_ready', message: expect.stringMatching(why) } },
    });
    expect((await service.generate({ model: NAME })).status).toBe(404);
    expect((await service.generate({ model: 'tale' })).status).toBe(200);
    expect((await service.load(NAME)).status).toBe(200);
    expect((await service.generate()).status).toBe(200);
    expect((await service.loaded()).get(NAME)).toMatchObject({ is_default: true });
    expect(await service.get('/readyz')).toEqual({ ready: true, model: NAME });
  });
});

describe.skipIf(process.platform !== 'linux')('PRELOAD', () => {
  it('loads its models after the main one, and tries again what is not there yet', async () => {
    const service = await serveBucket(bucket, { model: NAME, preload: ['tale', 'saga'] });
    await eventually(
      async () => (await service.loaded()).get('tale')?.state,
      (state) => state === 'ready',
      PATIENCE,
    );
    expect((await service.generate({ model: 'tale' })).status).toBe(200);
    await publishVariant(bucket, 2, false, 'saga');
    await eventually(
      async () => (await service.loaded()).get('saga')?.state,
      (state) => state === 'ready',
      PATIENCE,
    );
  });
});
