/** A batch and everybody else: other keys see nothing of it, live requests do not wait for it, a full disk does not end it. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startTestService, type TestService, type TestServiceOptions } from '../service/testing/test-service.ts';

let folder: string;
let service: TestService;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-shared-'));
});
afterEach(async () => {
  await service.close();
  rmSync(folder, { recursive: true });
});

async function start({ config, ...options }: TestServiceOptions): Promise<void> {
  service = await startTestService({ ...options, config: { dataFolder: folder, ...config } });
}

const clientOf = (apiKey: string) => new OpenAI({ baseURL: `${service.url}/v1`, apiKey, maxRetries: 0 });

async function begin(client: OpenAI, count: number, body: object): Promise<OpenAI.Batch> {
  const line = (index: number) =>
    JSON.stringify({
      custom_id: `c${index}`,
      url: '/generate',
      body: { prompt: `line ${index}`, ignore_eos: true, ...body },
    });
  const text = Array.from({ length: count }, (_, index) => line(index)).join('\n');
  const input = await client.files.create({ file: await toFile(Buffer.from(text)), purpose: 'batch' });
  const request = { input_file_id: input.id, endpoint: '/generate', completion_window: '24h' };
  return client.post('/batches', { body: request });
}

async function until(client: OpenAI, id: string, enough: (batch: OpenAI.Batch) => boolean): Promise<OpenAI.Batch> {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (enough(batch)) return batch;
    await sleep(20);
  }
}

describe('live requests', () => {
  it.each([
    ['some of the room', { occupancySemaphore: 4 }, 4],
    ['the only place there is', { occupancySemaphore: 1, queueLimit: 0 }, 1],
    ['all places, some with several answers', { occupancySemaphore: 4, batchLines: 4, queueLimit: 0 }, 4],
  ])('do not wait for a batch that has %s', async (_, config, slots) => {
    await start({ slots, decodeDelay: 10, config: { ...config, timeoutSeconds: 2 } });
    const client = clientOf('none');
    // One line alone takes longer than a live request may.
    const { id } = await begin(client, 40, { max_new_tokens: 300, num_return_sequences: 2 });
    await until(client, id, ({ status }) => status === 'in_progress');
    await sleep(300);
    const live = Array.from({ length: slots }, () =>
      service.generate({ prompt: 'live', max_new_tokens: 5, ignore_eos: true }),
    );
    for (const { status, body } of await Promise.all(live)) {
      expect([status, body.usage?.completion_tokens]).toEqual([200, 5]);
    }
    expect((await client.batches.retrieve(id)).status).toBe('in_progress');
  });

  it('only hold a batch up: what had to give way is answered afterwards, once', { timeout: 60_000 }, async () => {
    await start({ slots: 2, decodeDelay: 2, config: { occupancySemaphore: 2, batchLines: 2 } });
    const client = clientOf('none');
    const { id } = await begin(client, 30, { max_new_tokens: 30, temperature: 0 });
    await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > 0);
    for (let burst = 0; burst < 5; burst++) {
      const live = Array.from({ length: 2 }, () => service.generate({ prompt: 'live', max_new_tokens: 20 }));
      for (const { status } of await Promise.all(live)) expect(status).toBe(200);
      await sleep(30);
    }
    const done = await until(client, id, ({ status }) => status === 'completed');
    expect(done.request_counts).toEqual({ total: 30, completed: 30, failed: 0 });
    const text = await (await client.files.content(done.output_file_id ?? '')).text();
    const results = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(results.map(({ custom_id }) => custom_id)).toEqual(Array.from({ length: 30 }, (_, index) => `c${index}`));
    for (const { response } of results) expect(response.body.usage.completion_tokens).toBe(30);
  });
});

describe('a crash of the engine', () => {
  it('loses no line', { timeout: 60_000 }, async () => {
    await start({ slots: 4, decodeDelay: 2, restartPause: 50, config: { occupancySemaphore: 4 } });
    const client = clientOf('none');
    const { id } = await begin(client, 100, { max_new_tokens: 20 });
    await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > 5);
    const state = service.engine.state();
    if (state.kind !== 'ready') throw new Error(`the engine is ${state.kind}`);
    process.kill(state.pid, 'SIGKILL');
    const done = await until(client, id, ({ status }) => status === 'completed');
    expect(done.request_counts).toEqual({ total: 100, completed: 100, failed: 0 });
  });
});

describe('keys', () => {
  it('see their own files and batches only; who may all sees all', async () => {
    const keys = ['ann', 'bob', 'root'].map((name) => ({
      name,
      sha256: createHash('sha256').update(`key of ${name}`).digest('hex'),
      scopes: [name === 'root' ? 'admin' : 'infer'],
    }));
    const apiKeysFile = join(folder, 'keys.json');
    await writeFile(apiKeysFile, JSON.stringify({ keys }));
    await start({ config: { apiKeysFile } });
    const [ann, bob, root] = [clientOf('key of ann'), clientOf('key of bob'), clientOf('key of root')];
    const { id } = await begin(ann, 3, { max_new_tokens: 2 });
    const done = await until(ann, id, ({ status }) => status === 'completed');
    const output = done.output_file_id ?? '';
    const hidden = [
      () => bob.files.retrieve(done.input_file_id),
      () => bob.files.content(output),
      () => bob.files.delete(output),
      () => bob.files.list({ after: output }),
      () => bob.batches.retrieve(id),
      () => bob.batches.cancel(id),
      () => bob.batches.list({ after: id }),
      () =>
        bob.batches.create({
          input_file_id: done.input_file_id,
          endpoint: '/v1/completions',
          completion_window: '24h',
        }),
    ];
    for (const call of hidden) await expect(call()).rejects.toMatchObject({ status: 404 });
    expect([(await bob.files.list()).data, (await bob.batches.list()).data]).toEqual([[], []]);
    for (const client of [ann, root]) {
      expect((await client.files.list()).data.map((file) => file.id)).toEqual([output, done.input_file_id]);
      expect((await client.batches.list()).data.map((batch) => batch.id)).toEqual([id]);
      expect(await (await client.files.content(output)).text()).toContain('"custom_id":"c2"');
    }
    expect(readdirSync(folder).sort()).toEqual(
      expect.arrayContaining(['files', 'files.sqlite', 'jobs.sqlite', 'keys.json']),
    );
  });
});
