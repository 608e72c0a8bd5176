import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { errorHandler, type RequestEnvironment } from '@slipway/shared/http/request-context.ts';
import { createLogger, silence } from '@slipway/shared/lib/log.ts';
import { Hono } from 'hono';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { uiRoute } from './ui.ts';

let parent: string;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'slipway-ui-'));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

function get(path: string) {
  const app = new Hono<RequestEnvironment>();
  app.onError(errorHandler(createLogger({ service: 'test', level: 'silent', destination: silence })));
  app.on('GET', ['/ui', '/ui/*'], uiRoute(join(parent, 'dist')));
  return app.request(path);
}

async function build(): Promise<void> {
  await mkdir(join(parent, 'dist', 'assets'), { recursive: true });
  await writeFile(join(parent, 'dist', 'index.html'), '<title>page</title>');
  await writeFile(join(parent, 'dist', 'assets', 'index-1234abcd.js'), 'export {}');
  await writeFile(join(parent, 'dist', 'assets', 'index-1234abcd.css'), 'a{}');
  await writeFile(join(parent, 'dist', '.hidden.js'), 'secret');
  await writeFile(join(parent, 'secret.js'), 'secret');
}

it.each([
  ['/ui', 'text/html; charset=utf-8', 'no-cache'],
  ['/ui/', 'text/html; charset=utf-8', 'no-cache'],
  ['/ui/index.html', 'text/html; charset=utf-8', 'no-cache'],
  ['/ui/assets/index-1234abcd.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ['/ui/assets/index-1234abcd.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
])('%s', async (path, type, caching) => {
  await build();
  const response = await get(path);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toBe(type);
  expect(response.headers.get('cache-control')).toBe(caching);
});

it.each([
  '/ui/secret.js',
  '/ui/assets',
  '/ui/assets/',
  '/ui/assets/index-0000.js',
  '/ui/index.html/x.js',
  '/ui/.hidden.js',
  '/ui/..%2fsecret.js',
  '/ui/%2e%2e/secret.js',
  '/ui/assets/..%2f..%2fsecret.js',
  '/ui/assets/..%5c..%5csecret.js',
  '/ui//etc/passwd',
  '/ui/assets/x%00.js',
])('%s is not there', async (path) => {
  await build();
  const response = await get(path);
  expect(response.status).toBe(404);
  expect(await response.text()).not.toContain('secret"');
});

it('says that the page is being built while somebody builds it, and what to run when nobody does', async () => {
  const staging = join(parent, `dist.${newOwnedName()}`);
  await mkdir(staging);
  const building = await get('/ui');
  expect(building.status).toBe(503);
  expect(building.headers.get('retry-after')).toBe('2');
  expect(await building.text()).toContain('is being built');

  const dead = join(parent, 'dist.elsewhere-1-1-abcd');
  await rm(staging, { recursive: true });
  await mkdir(dead);
  await utimes(dead, 0, 0);
  expect(await (await get('/ui')).text()).toContain('npm run build -w apps/playground');

  await build();
  expect((await get('/ui')).status).toBe(200);
});
