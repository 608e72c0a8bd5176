/** What is wrong is said in OpenAI's shape everywhere below /v1, with the status and type its clients act on. */
import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from '../service/testing/test-service.ts';

let service: TestService;

const TEMPLATE =
  "{%- for m in messages -%}{%- if m.content == 'no' -%}{{ raise_exception('not that') }}{%- endif -%}{{ m.content }}{%- endfor -%}";

async function ask(path: string, body?: unknown, headers: Record<string, string> = {}) {
  const init =
    body === undefined
      ? { headers }
      : { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers };
  const response = await fetch(service.url + path, init);
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape, right and wrong.
  return { status: response.status, headers: response.headers, error: ((await response.json()) as any).error };
}

const chat = { messages: [{ role: 'user', content: 'hi' }] };

describe('a wrong request is a 400 that names the field', () => {
  beforeAll(async () => {
    service = await startTestService({ chatTemplate: TEMPLATE });
  });
  afterAll(() => service.close());

  it.each([
    ['/v1/completions', {}, 'prompt'],
    ['/v1/completions', { prompt: 7 }, 'prompt'],
    ['/v1/completions', { prompt: [], max_tokens: 'x' }, 'max_tokens'],
    ['/v1/completions', { prompt: ['a', 7] }, 'prompt'],
    ['/v1/completions', { prompt: [99999] }, 'prompt'],
    ['/v1/completions', { prompt: 'a', temperature: 3 }, 'temperature'],
    ['/v1/completions', { prompt: 'a', logprobs: 21 }, 'logprobs'],
    ['/v1/completions', { prompt: 'a', logprobs: true }, 'logprobs'],
    ['/v1/completions', { prompt: 'a', max_tokens: 0 }, 'max_tokens'],
    ['/v1/completions', { prompt: 'a', suffix: 'b' }, 'suffix'],
    ['/v1/completions', { prompt: 'a', n: 3, best_of: 2 }, 'best_of'],
    ['/v1/completions', { prompt: 'a', best_of: 2, stream: true }, 'best_of'],
    ['/v1/completions', { prompt: 'a', n: 11 }, 'n'],
    ['/v1/completions', { prompt: 'a', stream_options: { include_usage: true } }, 'stream_options'],
    ['/v1/completions', { prompt: 'a', stop: Array.from({ length: 17 }, () => 'x') }, 'stop'],
    ['/v1/completions', { prompt: 'a', stop_token_ids: [-1] }, 'stop_token_ids'],
    ['/v1/completions', { prompt: 'a', min_tokens: 17 }, 'min_tokens'],
    ['/v1/completions', { prompt: 'a', logit_bias: { a: 1 } }, 'logit_bias'],
    ['/v1/completions', { prompt: 'a', response_format: { type: 'xml' } }, 'response_format'],
    ['/v1/completions', { prompt: 'a', guided_json: 'no json' }, 'guided_json'],
    ['/v1/completions', { prompt: 'a', guided_json: {}, guided_regex: 'a' }, 'response_format'],
    ['/v1/completions', { prompt: 'x'.repeat(3000) }, 'prompt'],
    ['/v1/chat/completions', {}, 'messages'],
    ['/v1/chat/completions', { messages: [] }, 'messages'],
    ['/v1/chat/completions', { messages: [{ role: 'robot', content: 'hi' }] }, 'messages'],
    ['/v1/chat/completions', { messages: [{ role: 'user' }] }, 'messages'],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] },
      'messages',
    ],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'no' }] }, 'messages'],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'assistant', content: '' }], continue_final_message: true },
      'messages',
    ],
    [
      '/v1/chat/completions',
      { ...chat, continue_final_message: true, add_generation_prompt: true },
      'continue_final_message',
    ],
    ['/v1/chat/completions', { ...chat, logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
    ['/v1/chat/completions', { ...chat, top_logprobs: 2 }, 'top_logprobs'],
    ['/v1/chat/completions', { ...chat, max_tokens: 0 }, 'max_tokens'],
    ['/v1/chat/completions', { ...chat, tools: [{ type: 'retrieval' }] }, 'tools'],
    ['/tokenize', {}, 'prompt'],
    ['/tokenize', { prompt: 'a', ...chat }, 'prompt'],
    ['/tokenize', { prompt: 'a'.repeat(300_000) }, 'prompt'],
    ['/detokenize', { tokens: [99999] }, 'tokens'],
    ['/detokenize', { tokens: 'a' }, 'tokens'],
  ])('%s %.80j', async (path, body, param) => {
    const { status, error } = await ask(path, body);
    expect(status, JSON.stringify(error)).toBe(400);
    expect(error).toEqual({
      message: expect.stringContaining(param === 'response_format' ? '' : param),
      type: 'invalid_request_error',
      code: expect.any(String),
      param,
    });
  });
});

describe('errors below /v1', () => {
  afterEach(() => service.close());

  it('of bodies that are none', async () => {
    service = await startTestService({ chatTemplate: TEMPLATE, config: { bodyLimitBytes: 2048 } });
    for (const body of ['', '{', '[]', 'null', '"a"', '7']) {
      expect(await ask('/v1/completions', body)).toMatchObject({
        status: 400,
        error: { type: 'invalid_request_error' },
      });
    }
    expect(await ask('/v1/completions', { prompt: 'a'.repeat(3000) })).toMatchObject({
      status: 413,
      error: { type: 'invalid_request_error', code: 'body_too_large', param: null },
    });
  });

  it('of nesting without end', async () => {
    service = await startTestService({ chatTemplate: TEMPLATE });
    const deep = `${'[{"a":'.repeat(30_000)}1${'}]'.repeat(30_000)}`;
    for (const body of [
      `{"prompt": ${deep}}`,
      `{"prompt": "a", "guided_json": {"a": ${deep}}}`,
      `{"prompt": "a", "unknown": ${deep}}`,
    ]) {
      const { status } = await ask('/v1/completions', body);
      expect(status).toBeLessThan(500);
    }
    const { status } = await ask(
      '/v1/chat/completions',
      `{"messages": [{"role": "user", "content": "a"}], "tools": ${deep}}`,
    );
    expect(status).toBe(400);
  });

  it('of paths, methods and models that are not there', async () => {
    service = await startTestService({});
    expect(await ask('/v1/nothing')).toMatchObject({
      status: 404,
      error: { type: 'invalid_request_error', code: 'not_found', param: null },
    });
    const wrongMethod = await ask('/v1/completions');
    expect(wrongMethod).toMatchObject({
      status: 405,
      error: { type: 'invalid_request_error', code: 'method_not_allowed' },
    });
    expect(wrongMethod.headers.get('allow')).toBe('POST');
    const missing = { status: 404, error: { type: 'invalid_request_error', code: 'model_not_found', param: 'model' } };
    expect(await ask('/v1/completions', { model: 'gpt-4o', prompt: 'a' })).toMatchObject(missing);
    expect(await ask('/v1/models/gpt-4o')).toMatchObject(missing);
    expect(await ask('/nothing')).toMatchObject({
      status: 404,
      error: { code: 'not_found', request_id: expect.any(String) },
    });
  });

  it('of a key that is missing or wrong', async () => {
    service = await startTestService({ config: { apiKey: 'secret' } });
    const unauthorized = {
      status: 401,
      error: { type: 'invalid_request_error', code: 'invalid_api_key', param: null },
    };
    for (const path of ['/v1/models', '/tokenizer_info']) expect(await ask(path)).toMatchObject(unauthorized);
    for (const path of ['/v1/completions', '/v1/chat/completions', '/tokenize', '/detokenize']) {
      expect(await ask(path, {})).toMatchObject(unauthorized);
    }
    const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'secret' });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['synthetic']);
    const stranger = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'guess' });
    await expect(stranger.models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
  });

  it('of a model that is not ready, with the time to wait', async () => {
    service = await startTestService({ state: { kind: 'loading', stage: 'checking the files', progress: 0.5 } });
    for (const answer of [await ask('/v1/models'), await ask('/v1/completions', { prompt: 'a' })]) {
      expect(answer).toMatchObject({ status: 503, error: { type: 'server_error', code: 'model_not_ready' } });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  });

  it('of what is not done here', async () => {
    service = await startTestService({});
    const client = new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'none', maxRetries: 0 });
    await expect(client.embeddings.create({ model: 'synthetic', input: 'a' })).rejects.toMatchObject({
      status: 501,
      code: 'not_implemented',
    });
    expect((await ask('/v1/embeddings', {})).headers.get('x-should-retry')).toBe('false');
    expect(await ask('/v1/chat/completions', chat)).toMatchObject({
      status: 400,
      error: { param: 'messages', message: expect.stringContaining('no chat template') },
    });
  });
});

describe('what is not known', () => {
  afterEach(() => service.close());

  it('is ignored, and said in a header that nothing can break out of', async () => {
    service = await startTestService({});
    const { status, headers } = await (async () => {
      const body = { prompt: 'a', max_tokens: 1, frequency: 1, 'a"\r\nx: y\u00e9': 2 };
      const response = await fetch(`${service.url}/v1/completions`, { method: 'POST', body: JSON.stringify(body) });
      return { status: response.status, headers: response.headers };
    })();
    expect(status).toBe(200);
    expect(headers.get('warnings')).toBe(
      '"frequency is not known here and was ignored", "a\\"??x: y? is not known here and was ignored"',
    );
    expect(headers.get('x')).toBeNull();
  });

  it('does not fill the header', async () => {
    service = await startTestService({});
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${'field'.repeat(50)}${index}`, 1]));
    const response = await fetch(`${service.url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ prompt: 'a', max_tokens: 1, ...many }),
    });
    expect(response.status).toBe(200);
    expect(response.headers.get('warnings')?.length).toBeLessThan(1000);
  });
});
