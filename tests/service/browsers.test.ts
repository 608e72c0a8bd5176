/** What browsers are told and kept from: security headers, CORS, pages of other sites, names that point at this machine. */
import { type IncomingHttpHeaders, request } from 'node:http';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { afterEach, describe, expect, it } from 'vitest';
import { startTestService, type TestService } from './testing/test-service.ts';

const PAGE = 'https://app.example.com';
const BODY = JSON.stringify({ prompt: 'a', max_new_tokens: 1 });

let service: TestService;
afterEach(() => service.close());

async function start(config: Partial<ServiceConfig> = {}): Promise<void> {
  service = await startTestService({ config });
}

interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Every header as it is given: fetch would not send Host or Origin. */
function send(method: string, path: string, headers: Record<string, string>, body = ''): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request(service.url + path, { method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}

const generate = (headers: Record<string, string>) => send('POST', '/generate', headers, BODY);

describe('security headers', () => {
  it('are on every answer: data, events, refusals, what is not there, what fails to parse', async () => {
    await start({ apiKey: 'key' });
    const key = { 'x-api-key': 'key' };
    const answers = [
      await send('GET', '/', {}),
      await send('GET', '/healthz', {}),
      await send('GET', '/model-info', {}),
      await send('GET', '/metrics', key),
      await send('GET', '/nothing', key),
      await send('PATCH', '/generate', key),
      await send('POST', '/generate', key, '{'),
      await send('POST', '/generate', key, BODY),
      await send('POST', '/generate', key, JSON.stringify({ prompt: 'a', max_new_tokens: 1, stream: true })),
    ];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 401, 200, 404, 405, 400, 200, 200]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'cache-control': expect.stringMatching(/^no-(store|cache)/),
        'x-request-id': expect.any(String),
      });
      for (const name of ['x-powered-by', 'server', 'access-control-allow-origin', 'access-control-expose-headers']) {
        expect(headers).not.toHaveProperty(name);
      }
    }
  });

  it('let pages run what comes from here, and nothing else', async () => {
    await start();
    for (const path of ['/ui', '/ui/', '/docs/index.html']) {
      const policy = (await send('GET', path, {})).headers['content-security-policy'];
      expect(policy).toMatch(/^default-src 'self';.*frame-ancestors 'none'$/);
      expect(policy).not.toContain('unsafe');
    }
    expect((await send('GET', '/uix', {})).headers['content-security-policy']).toMatch(/^default-src 'none'/);
  });
});

describe('CORS', () => {
  const preflight = { origin: PAGE, 'access-control-request-method': 'POST' };
  const asked = { ...preflight, 'access-control-request-headers': 'authorization,content-type' };

  it('is off until origins are named', async () => {
    await start();
    const { status, headers } = await send('OPTIONS', '/generate', asked);
    expect(status).toBe(405);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it('lets the named origins ask, without a key for the question, and read what they need', async () => {
    await start({ corsOrigins: [PAGE, 'http://localhost:5173'], apiKey: 'key' });
    const allowed = await send('OPTIONS', '/generate', asked);
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-headers': expect.stringContaining('authorization'),
      'access-control-allow-methods': expect.stringContaining('POST'),
      vary: expect.stringContaining('Origin'),
    });
    for (const answer of [
      await generate({ origin: PAGE, 'x-api-key': 'key' }),
      await generate({ origin: PAGE, 'x-api-key': 'wrong' }),
      await send('POST', '/generate', { origin: PAGE, 'x-api-key': 'key' }, '{'),
    ]) {
      expect(answer.headers['access-control-allow-origin']).toBe(PAGE);
      expect(answer.headers['access-control-expose-headers']).toContain('X-Request-ID');
      expect(answer.headers['access-control-expose-headers']).toContain('x-ratelimit-remaining-tokens');
      expect(answer.headers).not.toHaveProperty('access-control-allow-credentials');
    }
    const stranger = await send('OPTIONS', '/generate', { ...asked, origin: 'https://evil.example' });
    expect(stranger.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('lets everybody in with *, but never with credentials', async () => {
    await start({ corsOrigins: ['*'] });
    for (const { headers } of [await send('OPTIONS', '/generate', asked), await generate({ origin: PAGE })]) {
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    }
  });
});

describe('a page of another site', () => {
  it('cannot make a browser generate or open a WebSocket here', async () => {
    await start();
    const plain = { 'content-type': 'text/plain' };
    for (const headers of [
      { ...plain, origin: PAGE },
      { ...plain, origin: 'null' },
      { ...plain, origin: PAGE, 'sec-fetch-site': 'cross-site' },
      // Another port of this machine is another site's page as well.
      { ...plain, origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' },
    ]) {
      expect(await generate(headers)).toMatchObject({ status: 403, text: expect.stringContaining('CORS_ORIGINS') });
    }
    const upgrade = { origin: PAGE, upgrade: 'websocket' };
    expect((await send('GET', '/healthz', upgrade)).status).toBe(403);
  });

  it('but our own pages may, behind a proxy as well, and programs that are no browsers', async () => {
    await start();
    const { host } = new URL(service.url);
    for (const headers of [
      {},
      { origin: `http://${host}` },
      { origin: `https://${host}` },
      { origin: 'https://behind.a.proxy', 'sec-fetch-site': 'same-origin' },
    ]) {
      expect((await generate(headers)).status).toBe(200);
    }
    expect((await send('GET', '/healthz', { origin: PAGE })).status).toBe(200);
  });

  it('may when it is named', async () => {
    await start({ corsOrigins: [PAGE] });
    expect((await generate({ origin: PAGE, 'sec-fetch-site': 'cross-site' })).status).toBe(200);
    expect((await generate({ origin: 'https://evil.example' })).status).toBe(403);
  });
});

describe('a name that somebody lets point at this machine', () => {
  it('is not answered where no key is asked for', async () => {
    await start();
    const { port } = new URL(service.url);
    for (const host of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example']) {
      expect(await send('GET', '/model-info', { host })).toMatchObject({
        status: 403,
        text: expect.stringContaining('localhost only'),
      });
    }
    for (const host of ['localhost', `LOCALHOST:${port}`, `127.0.0.1:${port}`, '[::1]:80', 'slipway.localhost']) {
      expect((await send('GET', '/model-info', { host })).status).toBe(200);
    }
  });

  it.each([{ apiKey: 'key' }, { trustProxy: 1 }, { host: '0.0.0.0' }])('is answered with %j', async (config) => {
    await start(config);
    const { status } = await send('GET', '/model-info', { host: 'api.example.com', 'x-api-key': 'key' });
    expect(status).toBe(200);
  });
});
