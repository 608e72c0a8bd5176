/** The service as a process of its own, killed at any moment while it works on batches, and started again on the same data. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RealService, startRealService } from '../observability/testing/real-service.ts';

const hasModel = existsSync(join(resolve(import.meta.dirname, '..', '..'), 'models', 'manifests'));

let folder: string;
let service: RealService;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-killed-'));
});
afterEach(async () => {
  await service.stop();
  rmSync(folder, { recursive: true });
});

async function start(): Promise<OpenAI> {
  service = await startRealService({ DATA_FOLDER: folder });
  return new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
}

async function kill(): Promise<void> {
  const gone = once(service.child, 'close');
  service.child.kill('SIGKILL');
  await gone;
}

const COUNT = 700;

function lines(): string {
  const one = (index: number) => ({
    custom_id: `c${index}`,
    method: 'POST',
    url: '/v1/completions',
    body: { prompt: `Story ${index}: Once upon a time`, max_tokens: 4 + (index % 60), temperature: index % 2 },
  });
  return Array.from({ length: COUNT }, (_, index) => `${JSON.stringify(one(index))}\n`).join('');
}

async function begin(client: OpenAI): Promise<OpenAI.Batch> {
  const input = await client.files.create({ file: await toFile(Buffer.from(lines())), purpose: 'batch' });
  return client.batches.create({ input_file_id: input.id, endpoint: '/v1/completions', completion_window: '24h' });
}

const isDone = ({ status }: OpenAI.Batch) => status === 'completed' || status === 'failed';

async function until(client: OpenAI, id: string, enough: (batch: OpenAI.Batch) => boolean): Promise<OpenAI.Batch> {
  for (;;) {
    const batch = await client.batches.retrieve(id);
    if (enough(batch) || isDone(batch)) return batch;
    await sleep(20);
  }
}

async function expectEachOnceInOrder(client: OpenAI, batch: OpenAI.Batch): Promise<void> {
  expect(batch).toMatchObject({
    status: 'completed',
    error_file_id: null,
    request_counts: { total: COUNT, completed: COUNT, failed: 0 },
  });
  const text = await (await client.files.content(batch.output_file_id ?? '')).text();
  const ids = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).custom_id);
  expect(ids).toEqual(Array.from({ length: COUNT }, (_, index) => `c${index}`));
  // One input and one output for each batch, however often it was begun.
  const listed = await client.files.list();
  expect(listed.data.filter(({ purpose }) => purpose === 'batch_output')).toHaveLength(1);
  expect(readdirSync(join(folder, 'batches'))).toEqual([]);
}

/** What lies beside the queue of a batch that is being worked on. */
const answered = (): number => {
  const [file] = existsSync(join(folder, 'batches')) ? readdirSync(join(folder, 'batches')) : [];
  return file === undefined ? 0 : readFileSync(join(folder, 'batches', file), 'utf8').split('\n').length - 1;
};

describe.skipIf(!hasModel)('a service that is killed', () => {
  it('goes on with its batch when it is started again: every line once, in order', { timeout: 300_000 }, async () => {
    let client = await start();
    const { id } = await begin(client);
    const reached: number[] = [];
    for (let round = 0; round < 4; round++) {
      await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > (reached.at(-1) ?? 0));
      await sleep(Math.random() * 150);
      await kill();
      reached.push(answered());
      client = await start();
    }
    const batch = await until(client, id, isDone);
    await expectEachOnceInOrder(client, batch);
    // It was killed on the way, and what had been answered was kept.
    expect(reached[0]).toBeGreaterThan(0);
    expect(reached[0]).toBeLessThan(COUNT);
    expect(reached).toEqual([...reached].sort((a, b) => a - b));
  });

  it('while it validates or finalizes does the same', { timeout: 300_000 }, async () => {
    let client = await start();
    const { id } = await begin(client);
    await kill();
    client = await start();
    await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) >= COUNT - 100);
    while (answered() < COUNT && (await client.batches.retrieve(id)).status === 'in_progress') await sleep(1);
    await kill();
    client = await start();
    await expectEachOnceInOrder(client, await until(client, id, isDone));
  });

  it('by SIGTERM gives its batch back, and the next goes on at once', { timeout: 120_000 }, async () => {
    let client = await start();
    const { id } = await begin(client);
    await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > 20);
    service.child.kill('SIGTERM');
    const [code] = await once(service.child, 'close');
    expect(code).toBe(0);
    const before = answered();
    expect(before).toBeGreaterThan(20);
    client = await start();
    const batch = await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > before);
    expect(service.log.find(({ msg }) => msg === 'batch begun')).toMatchObject({ batch: id, attempt: 1 });
    await expectEachOnceInOrder(client, isDone(batch) ? batch : await until(client, id, isDone));
  });
});

describe.skipIf(!hasModel || spawnSync('prlimit', ['--version']).status !== 0)('a full disk', () => {
  /** No file of the service may grow beyond it: what it meets then is what a full disk is. */
  const limit = (bytes: string) => {
    const { status } = spawnSync('prlimit', ['--pid', String(service.child.pid), `--fsize=${bytes}:unlimited`]);
    expect(status).toBe(0);
  };

  it('refuses a file, and leaves nothing of it', { timeout: 60_000 }, async () => {
    const client = await start();
    await client.files.list();
    limit(String(2 ** 20));
    const file = await toFile(Buffer.alloc(3 * 2 ** 20, 'a'));
    await expect(client.files.create({ file, purpose: 'batch' })).rejects.toMatchObject({
      status: 507,
      message: expect.stringContaining('the disk is full'),
    });
    expect(readdirSync(join(folder, 'files'))).toEqual([]);
    expect((await client.files.list()).data).toEqual([]);
  });

  it('holds a batch up, which goes on when there is room again', { timeout: 120_000 }, async () => {
    const client = await start();
    const { id } = await begin(client);
    await until(client, id, ({ request_counts }) => (request_counts?.completed ?? 0) > 5);
    limit(String(160 * 1024));
    const isHeld = () => service.log.some((entry) => JSON.stringify(entry).includes('cannot grow: the disk is full'));
    while (!isHeld()) await sleep(20);
    expect((await client.batches.retrieve(id)).status).toBe('in_progress');
    limit('unlimited');
    await expectEachOnceInOrder(client, await until(client, id, isDone));
  });
});
