/** The bundled model in a service of this process: loading, what it says of itself, its text, draining, failing to load. */

import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BUNDLED_BUCKET, type InferenceService, startInferenceService } from '@slipway/inference/serve';
import { loadServiceConfig, type ServiceFlags } from '@slipway/shared/contracts/config.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { allEvents } from './testing/event-source.ts';
import { eventually } from './testing/raw-client.ts';

const hasModel = existsSync(join(BUNDLED_BUCKET, 'manifests'));

let service: InferenceService | undefined;
afterEach(async () => {
  await service?.close();
});

async function start(flags: ServiceFlags = {}): Promise<InferenceService> {
  const config = await loadServiceConfig({
    flags: { port: 0, host: '127.0.0.1', bucketUrl: BUNDLED_BUCKET, ...flags },
    path: null,
  });
  service = await startInferenceService(
    config,
    createLogger({ service: 'test', level: 'silent', destination: silence }),
  );
  return service;
}

async function get(path: string) {
  const response = await fetch(`${service?.url}${path}`);
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  return { status: response.status, body: (await response.json()) as any };
}

function generate(body: object): Promise<Response> {
  return fetch(`${service?.url}/generate`, { method: 'POST', body: JSON.stringify(body) });
}

describe.skipIf(!hasModel)('the bundled model', () => {
  it('is not ready while it loads, and then is', async () => {
    const { loaded } = await start();
    const early = await get('/readyz');
    if (early.status === 503) expect(early.body).toMatchObject({ ready: false, progress: expect.any(Number) });
    const model = await loaded;
    expect(await get('/readyz')).toEqual({ status: 200, body: { ready: true, model: model.name } });
  });

  it('says what it is, with the hashes of its files', async () => {
    const { manifest, fingerprint } = await (await start()).loaded;
    const { body } = await get('/model-info');
    const hashes = new Set(manifest?.files.map(({ sha256 }) => sha256));
    for (const name of ['weights', 'serving_graph', 'standard_graph', 'tokenizer'])
      expect(hashes).toContain(body.sha256[name]);
    expect(body).toMatchObject({
      version: manifest?.version,
      architecture: { family: 'gpt2' },
      engine: { layout: 'shared-cache', device: 'cpu', runtime: expect.stringMatching(/^onnxruntime \d/) },
      parity: { within_bounds: true },
      training: {
        run: manifest?.lineage?.run,
        config: { name: 'shakespeare-gpt2' },
        data: [{ name: 'tinyshakespeare.txt' }],
      },
      system_fingerprint: fingerprint,
    });
  });

  it('goes on with a play, the same in a stream, alone and among others', async () => {
    await (await start()).loaded;
    const body = { prompt: 'ROMEO:', max_new_tokens: 60, temperature: 0 };
    const { text } = (await (await generate(body)).json()) as { text: string };
    expect(text).toMatch(/^\n.*[a-z]{3}/is);
    const others = Array.from({ length: 6 }, (_, index) =>
      generate({ ...body, prompt: `The ${'big '.repeat(index)}dog` }),
    );
    const events = await allEvents(await generate({ ...body, stream: true }));
    expect(events.map(({ data }) => (data as { text: string }).text).join('')).toBe(text);
    for (const other of others) expect((await other).status).toBe(200);
  });

  it('keeps prompt and answer within its context', async () => {
    const { engine } = await (await start()).loaded;
    const response = await generate({ prompt: 'word '.repeat(5000), max_new_tokens: 512, ignore_eos: true });
    const { usage, outputs } = (await response.json()) as {
      usage: { prompt_tokens: number; completion_tokens: number; prompt_truncated: boolean };
      outputs: { finish_reason: string }[];
    };
    expect(usage).toMatchObject({ prompt_truncated: true });
    expect(usage.prompt_tokens + usage.completion_tokens).toBe(engine.info.contextLength);
    expect(outputs[0]?.finish_reason).toBe('length');
  });

  it('drains: what runs is finished in time, or cut off and said so', async () => {
    const { drain, loaded } = await start();
    await loaded;
    const running = generate({
      prompt: 'Once',
      max_new_tokens: 300,
      num_return_sequences: 10,
      ignore_eos: true,
      stream: true,
    });
    const events = allEvents(await running);
    expect(await drain(60)).toBe(true);
    expect((await events).at(-1)?.event).toBe('done');

    await service?.close();
    const second = await start();
    await second.loaded;
    const cut = await generate({
      prompt: 'Once',
      max_new_tokens: 500,
      num_return_sequences: 10,
      ignore_eos: true,
      stream: true,
    });
    expect(await second.drain(0)).toBe(false);
    await second.close();
    await expect(allEvents(cut)).rejects.toThrow();
  });
});

describe('a model that cannot be loaded', () => {
  it('rejects with the reason, which readiness repeats', async () => {
    const { loaded } = await start({ model: 'missing' });
    await expect(loaded).rejects.toThrow(/model "missing" is not in/);
    expect(await get('/readyz')).toMatchObject({
      status: 503,
      body: { reason: expect.stringMatching(/^failed: model "missing"/) },
    });
    expect((await get('/healthz')).status).toBe(200);
    expect((await get('/model-info')).body.error.code).toBe('model_not_ready');
  });

  it.skipIf(!hasModel)('leaves no engine behind when only its tokenizer is broken', async () => {
    const before = childProcesses();
    const bucketUrl = await bucketWithBrokenTokenizer();
    const { loaded } = await start({ bucketUrl });
    await expect(loaded).rejects.toThrow(/tokenizer.json/);
    await eventually(childProcesses, (count) => count === before);
  });

  it('cannot listen on an address that is not of this machine', async () => {
    await expect(start({ host: '192.0.2.1' })).rejects.toThrow(/HOST 192.0.2.1 is not an address of this machine/);
    service = undefined;
  });
});

function childProcesses(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === 'ProcessWrap').length;
}

/** The bundled bucket with a tokenizer.json that says nothing, under its true hash. */
async function bucketWithBrokenTokenizer(): Promise<string> {
  const bucket = await mkdtemp(join(tmpdir(), 'slipway-broken-'));
  for (const part of ['blobs', 'manifests'])
    await cp(join(BUNDLED_BUCKET, part), join(bucket, part), { recursive: true });
  const [name = ''] = await readdir(join(bucket, 'manifests'));
  const path = join(bucket, 'manifests', name, 'v001.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  const sha256 = createHash('sha256').update('{}').digest('hex');
  const file = manifest.files.find((one: { path: string }) => one.path === manifest.text.tokenizer);
  const blob = join(bucket, 'blobs', 'sha256', sha256.slice(0, 2), sha256);
  await mkdir(dirname(blob), { recursive: true });
  await writeFile(blob, '{}');
  Object.assign(file, { sha256, bytes: 2 });
  await chmod(path, 0o644);
  await writeFile(path, JSON.stringify(manifest));
  return bucket;
}
