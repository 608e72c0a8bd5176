/** Everything but generating: what it is, probes, ids, keys, and what is not there. */
import { afterEach, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService;
afterEach(() => service.close());

/** Nothing builds the page for a service that a test starts; a WebSocket is asked for in another way. */
const ALLOWED: Readonly<Record<string, readonly number[]>> = { '/ui': [200, 503], '/ws/chat': [426] };

describe('endpoints', () => {
  it('GET / links the others, and all of them answer', async () => {
    service = await startTestService({});
    const { body } = await service.get('/');
    expect(body.model).toBe('synthetic');
    const gets = body.endpoints.filter(({ method }: { method: string }) => method === 'GET');
    const paths = gets.map(({ url }: { url: string }) => decodeURI(new URL(url).pathname));
    expect(paths).toEqual(
      expect.arrayContaining(['/', '/healthz', '/readyz', '/model-info', '/metrics', '/v1/models']),
    );
    for (const path of paths) {
      const allowed = ALLOWED[path] ?? (path.includes('{id}') ? [404] : [200]);
      const asked = path.replace('{model}', 'synthetic').replace('{id}', 'nothing');
      expect(allowed, path).toContain((await service.get(asked)).status);
    }
  });

  it('says ready, and what is served', async () => {
    service = await startTestService({});
    expect((await service.get('/readyz')).body).toEqual({ ready: true, model: 'synthetic' });
    expect((await service.get('/model-info')).body).toMatchObject({
      name: 'synthetic',
      engine: { layout: 'synthetic', device: 'cpu', slots: 4 },
      limits: { max_new_tokens: 512, default_max_new_tokens: 64, timeout_seconds: 60 },
      system_fingerprint: 'fp_test',
    });
  });

  it('says how long a prompt may really be', async () => {
    service = await startTestService({ contextLength: 512, config: { defaultMaxNewTokens: 100 } });
    const { limits } = (await service.get('/model-info')).body;
    expect(limits.max_prompt_tokens).toBe(412);
    const usage = async (length: number) => (await service.generate({ prompt: 'x'.repeat(length) })).body.usage;
    expect(await usage(412)).toMatchObject({ prompt_tokens: 412, prompt_truncated: false });
    expect(await usage(413)).toMatchObject({ prompt_tokens: 412, prompt_truncated: true });
  });

  it('while loading: live, not ready with stage and progress, and nothing is generated', async () => {
    service = await startTestService({ state: { kind: 'loading', stage: 'checking the files', progress: 0.25 } });
    expect((await service.get('/healthz')).status).toBe(200);
    expect(await service.get('/health')).toMatchObject({ status: 200, body: { status: 'loading' } });
    expect(await service.get('/readyz')).toMatchObject({
      status: 503,
      body: { ready: false, reason: 'loading: checking the files', progress: 0.25 },
    });
    for (const answer of [await service.generate({ prompt: 'a' }), await service.get('/model-info')]) {
      expect(answer.status).toBe(503);
      expect(answer.body.error).toMatchObject({
        code: 'model_not_ready',
        message: expect.stringContaining('checking the files'),
      });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    expect((await service.get('/metrics')).status).toBe(200);
  });

  it('says what is not there, and which method is wanted', async () => {
    service = await startTestService({});
    expect(await service.get('/nothing')).toMatchObject({ status: 404, body: { error: { code: 'not_found' } } });
    expect(await service.get('/generate')).toMatchObject({
      status: 405,
      body: { error: { code: 'method_not_allowed', message: '/generate takes POST, not GET' } },
    });
  });
});

describe('request ids', () => {
  it('are given back on every answer, errors and streams included', async () => {
    service = await startTestService({});
    const headers = { 'x-request-id': 'my-id-1' };
    for (const body of [{ prompt: 'a', max_new_tokens: 1 }, { prompt: 'a', max_new_tokens: 1, stream: true }, {}]) {
      const response = await fetch(`${service.url}/generate`, { method: 'POST', body: JSON.stringify(body), headers });
      expect(response.headers.get('x-request-id')).toBe('my-id-1');
      expect(await response.text()).toContain('"request_id":"my-id-1"');
    }
    for (const path of ['/healthz', '/nothing']) {
      expect((await fetch(service.url + path, { headers })).headers.get('x-request-id')).toBe('my-id-1');
    }
  });

  it('are made when there is none, or one that would break a log', async () => {
    service = await startTestService({});
    for (const headers of [{}, { 'x-request-id': 'a b' }, { 'x-request-id': 'x'.repeat(129) }]) {
      expect((await fetch(`${service.url}/healthz`, { headers })).headers.get('x-request-id')).toMatch(
        /^req-[0-9a-f]{32}$/,
      );
    }
  });
});

describe('the API key', () => {
  it('is asked for everywhere but on the probes and the front page', async () => {
    service = await startTestService({ config: { apiKey: 'open sesame' } });
    for (const path of ['/', '/healthz', '/readyz', '/health']) expect((await service.get(path)).status).toBe(200);
    for (const path of ['/model-info', '/metrics', '/nothing']) {
      expect(await service.get(path)).toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
    }
    expect((await service.generate({ prompt: 'a' })).status).toBe(401);
    const withKey = (headers: Record<string, string>) => fetch(`${service.url}/model-info`, { headers });
    expect((await withKey({ authorization: 'Bearer open sesame' })).status).toBe(200);
    expect((await withKey({ 'x-api-key': 'open sesame' })).status).toBe(200);
    expect((await withKey({ 'x-api-key': 'open sesam' })).status).toBe(401);
    expect((await withKey({ authorization: 'Basic open sesame' })).status).toBe(401);
  });
});

describe('probes', () => {
  it('answer while every slot is busy with long prompts', async () => {
    service = await startTestService({ decodeDelay: 1, config: { occupancySemaphore: 16 } });
    const text = 'word '.repeat(500);
    let stop = false;
    const load = Array.from({ length: 32 }, async () => {
      while (!stop) await service.generate({ prompt: text, max_new_tokens: 32, ignore_eos: true });
    });
    const times: number[] = [];
    for (let probe = 0; probe < 200; probe++) {
      const startedAt = performance.now();
      expect((await service.get('/healthz')).status).toBe(200);
      times.push(performance.now() - startedAt);
    }
    stop = true;
    await Promise.all(load);
    times.sort((a, b) => a - b);
    // Wide, because tests share their processors; `slipway bench probe` holds it to 50 ms.
    expect(times[197]).toBeLessThan(250);
  });
});
