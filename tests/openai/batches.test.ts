/** `/v1/files` and `/v1/batches` by OpenAI's own client for Node: sent, worked on, polled, fetched, cancelled; and what is wrong with a file. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

let folder: string;
let service: TestService;
let client: OpenAI;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-batches-'));
  service = await startTestService({
    slots: 8,
    decodeDelay: 2,
    chatTemplate: '{%- for m in messages -%}{{ m.content }}{%- endfor -%}',
    config: { occupancySemaphore: 8, dataFolder: folder, fileLimitBytes: 20 * 2 ** 20 },
  });
  client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
});
afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true });
});

type Endpoint = OpenAI.BatchCreateParams['endpoint'];

const send = async (text: string | Buffer, name = 'input.jsonl') =>
  client.files.create({ file: await toFile(Buffer.from(text), name), purpose: 'batch' });

function line(index: number, body: object = {}, url = '/v1/completions'): string {
  const shared = { model: 'synthetic', temperature: 0, max_tokens: 2 + (index % 7), ignore_eos: true };
  const prompt = url === '/v1/completions' ? { prompt: `line ${index}` } : {};
  return JSON.stringify({ custom_id: `c${index}`, method: 'POST', url, body: { ...shared, ...prompt, ...body } });
}

async function begin(text: string | Buffer, more: object = {}): Promise<OpenAI.Batch> {
  const { id } = await send(text);
  const endpoint: Endpoint = '/v1/completions';
  return client.batches.create({ input_file_id: id, endpoint, completion_window: '24h', ...more });
}

async function ended(batch: OpenAI.Batch): Promise<OpenAI.Batch> {
  for (;;) {
    const now = await client.batches.retrieve(batch.id);
    if (['completed', 'failed', 'expired', 'cancelled'].includes(now.status)) return now;
    await sleep(20);
  }
}

interface Result {
  readonly id: string;
  readonly custom_id: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  readonly response: any;
  readonly error: { readonly code: string } | null;
}

async function resultsIn(id: string | null | undefined): Promise<Result[]> {
  if (typeof id !== 'string') return [];
  const text = await (await client.files.content(id)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((one) => JSON.parse(one));
}

describe('files', () => {
  it('are sent, described, listed by pages, fetched as they were, and deleted', async () => {
    const content = Buffer.from('{"a": 1}\r\n{"b": "é"}\n');
    const file = await send(content, 'my (fine) é.jsonl');
    expect(file).toMatchObject({
      id: expect.stringMatching(/^file-[0-9a-f]{32}$/),
      object: 'file',
      bytes: content.length,
      filename: 'my (fine) é.jsonl',
      purpose: 'batch',
      status: 'processed',
      sha256: createHash('sha256').update(content).digest('hex'),
    });
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect(Buffer.from(await (await client.files.content(file.id)).arrayBuffer())).toEqual(content);
    const others = [await send('b'), await send('c')];
    const newest: string[] = [];
    for await (const one of client.files.list({ limit: 2, purpose: 'batch' })) newest.push(one.id);
    expect(newest).toEqual([...others.map(({ id }) => id).reverse(), file.id]);
    const oldest = await client.files.list({ order: 'asc', limit: 2 });
    expect(oldest.data.map(({ id }) => id)).toEqual([file.id, others[0]?.id]);
    expect(oldest.has_more).toBe(true);
    for (const { id } of [file, ...others]) {
      expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
      await expect(client.files.retrieve(id)).rejects.toMatchObject({ status: 404 });
    }
    expect(readdirSync(join(folder, 'files'))).toEqual([]);
  });

  it('are refused with a reason, and nothing is left of them', async () => {
    const form = (fields: Record<string, string | Blob>) => {
      const body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.set(name, value);
      return fetch(`${service.url}/v1/files`, { method: 'POST', body });
    };
    const file = new Blob(['{}']);
    const large = new Blob([Buffer.alloc(21 * 2 ** 20)]);
    const refusals = [
      [await form({ file, purpose: 'vision' }), 400, /purpose must be batch/],
      [await form({ file }), 400, /purpose must be batch/],
      [await form({ purpose: 'batch' }), 400, /there is no file/],
      [await form({ purpose: 'batch', file: 'a text' }), 400, /there is no file/],
      [await form({ purpose: 'batch', file: large }), 413, /at most 20971520 bytes/],
      [await fetch(`${service.url}/v1/files`, { method: 'POST', body: '{}' }), 400, /send multipart\/form-data/],
      [await raw('multipart/form-data; boundary=x', '--x\r\nbroken'), 400, /send multipart\/form-data|cannot be read/],
      [await raw('multipart/form-data; boundary=x', ''), 400, /send multipart\/form-data|cannot be read/],
    ] as const;
    for (const [response, status, message] of refusals) {
      const { error } = Object(await response.json());
      expect([response.status, error.message]).toEqual([status, expect.stringMatching(message)]);
      expect(error.type).toBe('invalid_request_error');
    }
    expect(readdirSync(join(folder, 'files'))).toEqual([]);
    expect((await client.files.list()).data).toEqual([]);
  });

  const raw = (type: string, body: string) =>
    fetch(`${service.url}/v1/files`, { method: 'POST', body, headers: { 'content-type': type } });

  it('that are cut off while they are sent leave nothing', async () => {
    const stop = new AbortController();
    const body = new ReadableStream({
      async pull(controller) {
        controller.enqueue(
          Buffer.from('--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nbegun'),
        );
        await sleep(200);
        stop.abort();
      },
    });
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    const options = { method: 'POST', body, headers, signal: stop.signal, duplex: 'half' } as RequestInit;
    await expect(fetch(`${service.url}/v1/files`, options)).rejects.toThrow();
    for (let tries = 0; readdirSync(join(folder, 'files')).length > 0; tries++) {
      expect(tries).toBeLessThan(200);
      await sleep(20);
    }
  });
});

describe('a batch', () => {
  it('is answered in order, as its lines would be alone, and tells how far it is', async () => {
    const count = 60;
    const text = `${Array.from({ length: count }, (_, index) => line(index)).join('\n')}\n`;
    const batch = await begin(text, { metadata: { for: 'the test' } });
    expect(batch).toMatchObject({
      id: expect.stringMatching(/^batch_[0-9a-f]{32}$/),
      object: 'batch',
      endpoint: '/v1/completions',
      status: 'validating',
      completion_window: '24h',
      output_file_id: null,
      error_file_id: null,
      errors: null,
      metadata: { for: 'the test' },
      request_counts: { total: 0, completed: 0, failed: 0 },
    });
    expect(batch.expires_at).toBe(batch.created_at + 86_400);
    const done = await ended(batch);
    expect(done).toMatchObject({
      status: 'completed',
      error_file_id: null,
      request_counts: { total: count, completed: count, failed: 0 },
    });
    for (const at of [done.in_progress_at, done.finalizing_at, done.completed_at])
      expect(at).toEqual(expect.any(Number));
    const results = await resultsIn(done.output_file_id);
    expect(results.map(({ custom_id }) => custom_id)).toEqual(Array.from({ length: count }, (_, index) => `c${index}`));
    expect(new Set(results.map(({ id }) => id)).size).toBe(count);
    for (const index of [0, 17, 59]) {
      const alone = await client.completions.create(JSON.parse(line(index)).body);
      expect(results[index]?.response).toMatchObject({
        status_code: 200,
        request_id: expect.stringMatching(/^req-/),
        body: { object: 'text_completion', choices: alone.choices, usage: { completion_tokens: 2 + (index % 7) } },
      });
    }
    expect(readdirSync(join(folder, 'batches'))).toEqual([]);
    expect(await client.files.retrieve(done.output_file_id ?? '')).toMatchObject({ purpose: 'batch_output' });
  });

  it.each(['/v1/chat/completions', '/generate'])('may be for %s', async (url) => {
    const body = url === '/generate' ? { prompt: 'a' } : { messages: [{ role: 'user', content: 'Hi' }] };
    const lines = [JSON.stringify({ custom_id: 'a', url, body }), JSON.stringify({ custom_id: 'b', url, body: {} })];
    const done = await ended(await begin(lines.join('\r\n'), { endpoint: url }));
    expect(done.request_counts).toEqual({ total: 2, completed: 1, failed: 1 });
    const [good] = await resultsIn(done.output_file_id);
    expect(good?.response.body.id).toMatch(url === '/generate' ? /^gen-/ : /^chatcmpl-/);
    const [bad] = await resultsIn(done.error_file_id);
    expect(bad).toMatchObject({ custom_id: 'b', response: { status_code: url === '/generate' ? 422 : 400 } });
  });

  it('sorts what an endpoint refuses into the file of errors', async () => {
    const lines = [line(0), line(1, { model: 'gpt-none' }), line(2, { temperature: 'hot' }), line(3)];
    const done = await ended(await begin(`\ufeff${lines.join('\n\n')}`));
    expect(done).toMatchObject({ status: 'completed', request_counts: { total: 4, completed: 2, failed: 2 } });
    expect((await resultsIn(done.output_file_id)).map(({ custom_id }) => custom_id)).toEqual(['c0', 'c3']);
    const errors = await resultsIn(done.error_file_id);
    expect(
      errors.map(({ custom_id, response }) => [custom_id, response.status_code, response.body.error.code]),
    ).toEqual([
      ['c1', 404, 'model_not_found'],
      ['c2', 400, 'invalid_field'],
    ]);
    const none = await ended(await begin(line(0, { model: 'gpt-none' })));
    expect(none).toMatchObject({ status: 'completed', output_file_id: null, error_file_id: expect.any(String) });
  });

  it('of a wrong file fails, with the numbers of its lines', async () => {
    const lines = [
      line(0),
      '{broken',
      JSON.stringify({ method: 'POST', url: '/v1/completions', body: {} }),
      line(0),
      line(4, {}, '/v1/chat/completions'),
      line(5, {}, '/v1/embeddings'),
      JSON.stringify({ custom_id: 'x', method: 'GET', url: '/v1/completions', body: {} }),
      '[]',
      line(8, { stream: true }),
    ];
    const failed = await ended(
      await begin(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\n`), Buffer.from([0xff])])),
    );
    expect(failed).toMatchObject({ status: 'failed', output_file_id: null, failed_at: expect.any(Number) });
    expect(failed.errors?.object).toBe('list');
    expect(failed.errors?.data?.map(({ line: at, code, param }) => [at, code, param])).toEqual([
      [2, 'invalid_json_line', null],
      [3, 'missing_required_parameter', 'custom_id'],
      [4, 'duplicate_custom_id', 'custom_id'],
      [5, 'mismatched_endpoint', 'url'],
      [6, 'invalid_url', 'url'],
      [7, 'invalid_method', 'method'],
      [8, 'invalid_json_line', null],
      [9, 'invalid_request', 'body'],
      [10, 'invalid_line', null],
    ]);
    for (const empty of ['', '\n\r\n', '\ufeff']) {
      const { status, errors } = await ended(await begin(empty));
      expect([status, errors?.data?.[0]?.code]).toEqual(['failed', 'empty_file']);
    }
  });

  it('may have a hundred thousand lines', { timeout: 120_000 }, async () => {
    const lines = Array.from({ length: 100_000 }, (_, index) => line(index));
    const batch = await begin(lines.join('\n'));
    let now = batch;
    while (now.request_counts?.completed === 0) {
      await sleep(50);
      now = await client.batches.retrieve(batch.id);
    }
    expect(now).toMatchObject({ status: 'in_progress', request_counts: { total: 100_000, failed: 0 } });
    await client.batches.cancel(batch.id);
    expect((await ended(batch)).status).toBe('cancelled');
    const twice = [...lines, line(77_777)].join('\n');
    const { errors } = await ended(await begin(twice));
    expect(errors?.data).toMatchObject([{ line: 100_001, code: 'duplicate_custom_id' }]);
  });

  it('that is cancelled keeps what was answered', async () => {
    const batch = await begin(Array.from({ length: 5000 }, (_, index) => line(index)).join('\n'));
    while (((await client.batches.retrieve(batch.id)).request_counts?.completed ?? 0) < 10) await sleep(20);
    expect(await client.batches.cancel(batch.id)).toMatchObject({ status: 'cancelling' });
    const cancelled = await ended(batch);
    expect(cancelled).toMatchObject({ status: 'cancelled', cancelled_at: expect.any(Number) });
    const { completed = 0 } = cancelled.request_counts ?? {};
    expect(completed).toBeGreaterThanOrEqual(10);
    expect(completed).toBeLessThan(5000);
    const results = await resultsIn(cancelled.output_file_id);
    expect(results.map(({ custom_id }) => custom_id)).toEqual(
      Array.from({ length: completed }, (_, index) => `c${index}`),
    );
    const done = await ended(await begin(line(0)));
    await expect(client.batches.cancel(done.id)).rejects.toMatchObject({ status: 409 });
  });

  it('that is not done in time expires, and says so of every line that is missing', async () => {
    const lines = Array.from({ length: 3000 }, (_, index) => line(index, { max_tokens: 40 }));
    const expired = await ended(await begin(lines.join('\n'), { completion_window: '2s' }));
    expect(expired).toMatchObject({ status: 'expired', expired_at: expect.any(Number) });
    const [answered, missing] = [await resultsIn(expired.output_file_id), await resultsIn(expired.error_file_id)];
    expect(answered.length + missing.length).toBe(3000);
    expect(answered.length).toBeGreaterThan(0);
    expect(new Set(missing.map(({ error }) => error?.code))).toEqual(new Set(['batch_expired']));
  });

  it('is listed by pages, newest first', async () => {
    const made = [await begin(line(0)), await begin(line(1)), await begin(line(2))].map(({ id }) => id).reverse();
    const listed: string[] = [];
    for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id);
    expect(listed.slice(0, 3)).toEqual(made);
    expect(new Set(listed).size).toBe(listed.length);
  });

  it('is refused for what cannot be one', async () => {
    const { id } = await send(line(0));
    const create = (more: object) =>
      client.batches.create({ input_file_id: id, endpoint: '/v1/completions', completion_window: '24h', ...more });
    const refusals: [object, number, RegExp][] = [
      [{ input_file_id: 'file-none' }, 404, /there is no file "file-none"/],
      [{ input_file_id: '../../etc/passwd' }, 404, /there is no file/],
      [{ endpoint: '/v1/embeddings' }, 400, /endpoint must be/],
      [{ completion_window: '1y' }, 400, /completion_window must be/],
      [{ metadata: { a: 1 } }, 400, /metadata/],
    ];
    for (const [more, status, message] of refusals) {
      await expect(create(more)).rejects.toMatchObject({ status, message: expect.stringMatching(message) });
    }
    const done = await ended(await create({}));
    await expect(create({ input_file_id: done.output_file_id })).rejects.toMatchObject({ status: 400 });
    for (const call of [client.batches.retrieve('batch_none'), client.batches.cancel('batch_none')]) {
      await expect(call).rejects.toMatchObject({ status: 404 });
    }
    await expect(client.batches.list({ after: 'batch_none' })).rejects.toMatchObject({ status: 404 });
  });
});
