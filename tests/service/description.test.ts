/** The description of the API: whole, valid, true of what is answered, and readable without any other host. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listedEndpoints } from '../fuzz/testing/listed-endpoints.ts';
import { answered, startTestService, type TestService } from './testing/test-service.ts';

const TEMPLATE = '{{ tools }}{% for m in messages %}{{ m.content }}{% endfor %}';

let service: TestService;
// biome-ignore lint/suspicious/noExplicitAny: a test looks into it as into every answer.
let api: any;
beforeAll(async () => {
  service = await startTestService({ chatTemplate: TEMPLATE, config: { maxNewTokens: 77 } });
  api = (await service.get('/openapi.json')).body;
});
afterAll(() => service.close());

it('is valid OpenAPI 3.1', async () => {
  const { valid, errors } = await new Validator().validate(structuredClone(api));
  expect(errors).toBeUndefined();
  expect(valid).toBe(true);
  expect(api.openapi).toBe('3.1.0');
});

it('has every endpoint, and nothing else', async () => {
  const listed = (await listedEndpoints(service.url)).map(({ method, path }) => `${method} ${decodeURI(path)}`);
  const described = Object.entries<object>(api.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(listed.sort());
  const ids = Object.values<object>(api.paths).flatMap((methods) =>
    Object.values<{ operationId: string }>(methods as never).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
});

it('has the fields of each request, with their ranges', () => {
  const bodyOf = (path: string) => api.paths[path].post.requestBody.content['application/json'].schema;
  expect(bodyOf('/generate')).toMatchObject({
    required: ['prompt'],
    properties: {
      prompt: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'integer' } }] },
      max_new_tokens: { type: 'integer', minimum: 0, maximum: 77, default: 64 },
      stream: { type: 'boolean', default: false },
      logit_bias: { type: 'object' },
    },
  });
  expect(bodyOf('/score').required).toEqual([]);
  expect(bodyOf('/api/v1/chat/completions').required).toEqual(['messages']);
  expect(bodyOf('/v1/chat/completions')).toMatchObject({
    required: ['messages'],
    properties: {
      temperature: { type: 'number', minimum: 0, maximum: 2, default: 1 },
      tools: { type: 'array', maxItems: 128 },
      stop: { anyOf: [{ type: 'string' }, { type: 'array' }] },
    },
  });
});

it('says who needs a key', () => {
  expect(api.paths['/healthz'].get.security).toEqual([]);
  expect(api.paths['/generate'].post.security).toBeUndefined();
  expect(api.paths['/generate'].post.responses['401']).toBeDefined();
});

describe('what is answered', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  const check = (method: string, path: string, status: number, body: unknown) => {
    const { responses } = api.paths[path][method];
    const { schema } = (responses[status] ?? responses.default).content['application/json'];
    const validate = ajv.compile({ ...schema, components: api.components });
    expect(validate(body), `${method} ${path} ${JSON.stringify(validate.errors)} ${JSON.stringify(body)}`).toBe(true);
  };
  const messages = [{ role: 'user', content: 'Hello' }];
  const few = { max_tokens: 2, ignore_eos: true };
  const weather = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };

  it.each<[string, object, number]>([
    ['/generate', { prompt: 'a', max_new_tokens: 2, logprobs: 2, prompt_logprobs: 1 }, 200],
    ['/generate', { prompt: 3 }, 422],
    ['/score', { text: 'Hello', top_k: 2 }, 200],
    ['/score', { texts: ['Hello'], per: 'character' }, 200],
    ['/api/v1/chat/completions', { messages, session_id: 'new', max_tokens: 2 }, 200],
    ['/v1/completions', { prompt: ['a', 'b'], ...few, logprobs: 2, prompt_logprobs: 1, echo: true }, 200],
    ['/v1/completions', { prompt: {} }, 400],
    ['/v1/chat/completions', { messages, ...few, logprobs: true, top_logprobs: 2 }, 200],
    ['/v1/chat/completions', { messages, max_tokens: 70, tools: [weather], tool_choice: 'required' }, 200],
    ['/v1/embeddings', { input: 'a' }, 501],
    ['/tokenize', { prompt: 'Hello', return_token_strs: true }, 200],
    ['/detokenize', { tokens: [65, 66] }, 200],
    ['/models/load', { model: '../etc' }, 422],
  ])('by POST %s of %j is as described', async (path, body, status) => {
    const answer = await answered(await fetch(service.url + path, { method: 'POST', body: JSON.stringify(body) }));
    expect(answer.status, answer.text).toBe(status);
    check('post', path, status, answer.body);
  });

  it.each<[string, object]>([
    ['/generate', { prompt: 'a', max_new_tokens: 2, logprobs: 2 }],
    ['/api/v1/chat/completions', { messages, max_tokens: 2 }],
    ['/v1/completions', { prompt: 'a', ...few, stream_options: { include_usage: true } }],
    ['/v1/chat/completions', { messages, ...few }],
  ])('as a stream by POST %s of %j is as described', async (path, body) => {
    const request = { method: 'POST', body: JSON.stringify({ ...body, stream: true }) };
    const { text } = await answered(await fetch(service.url + path, request));
    const { schema } = api.paths[path].post.responses['200'].content['text/event-stream'];
    const [data, done] = schema.properties.data.anyOf ?? [schema.properties.data];
    const validate = ajv.compile({ ...data.contentSchema, components: api.components });
    const events = text.split('\n\n').filter((event) => event !== '');
    expect(events.length).toBeGreaterThan(1);
    for (const event of events) {
      const said = event.replace(/^(event: .*\n)?data: /, '');
      if (said === done?.const) continue;
      expect(validate(JSON.parse(said)), `${path} ${JSON.stringify(validate.errors)} ${said}`).toBe(true);
    }
    expect(events.at(-1)).toMatch(done === undefined ? /^event: done\n/ : /^data: \[DONE\]$/);
  });

  it('by GET is as described', async () => {
    for (const { method, path } of await listedEndpoints(service.url)) {
      const listed = decodeURI(path);
      const isJson = 'application/json' in (api.paths[listed].get?.responses['200']?.content ?? {});
      if (method !== 'GET' || !isJson) continue;
      const { status, body } = await service.get(listed.replace('{model}', 'synthetic').replace('{id}', 'nothing'));
      check('get', listed, status, body);
    }
  });

  it('while nothing is ready is as described', async () => {
    const loading = await startTestService({ state: { kind: 'loading', stage: 'checking the files', progress: 0.5 } });
    try {
      for (const path of ['/health', '/readyz', '/model-info', '/v1/models']) {
        const { status, body } = await loading.get(path);
        check('get', path, status, body);
      }
    } finally {
      await loading.close();
    }
  });
});

describe('the page', () => {
  it('shows every endpoint with its fields, and asks no other host for anything', async () => {
    const { status, headers, text } = await service.get('/docs');
    expect([status, headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8']);
    for (const path of Object.keys(api.paths)) expect(text).toContain(`</b> ${path}</code>`);
    expect(text).toContain('an integer from 1 to 77');
    expect(text).not.toMatch(/(?:src|href)="(?!\/|data:)/);
    expect(text).not.toContain('<script');
    expect((await service.get('/docs/style.css')).headers.get('content-type')).toContain('text/css');
  });

  it('needs no key', async () => {
    const locked = await startTestService({ config: { apiKey: 'secret' } });
    try {
      for (const path of ['/docs', '/docs/style.css', '/openapi.json'])
        expect((await locked.get(path)).status).toBe(200);
    } finally {
      await locked.close();
    }
  });
});
