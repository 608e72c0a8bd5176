/** API keys through the running service: who gets in, what a change of the file does, and what the log never holds. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { slipway } from '../converter/testing/slipway.ts';
import { eventually } from './testing/raw-client.ts';
import { startTestService, type TestService } from './testing/test-service.ts';

let service: TestService | undefined;
let folder: string;
let file: string;
const log: string[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-keys-'));
  file = join(folder, 'keys.yml');
  log.length = 0;
});
afterEach(async () => {
  await service?.close();
  service = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function start(config: { apiKey?: string } = {}): Promise<void> {
  service = await startTestService({
    config: { ...config, apiKeysFile: file },
    onLog: (line) => log.push(line),
  });
}

async function createKey(...args: string[]): Promise<string> {
  const { code, stdout, errors } = await slipway(['keys', 'create', ...args, '--file', file, '--json']);
  expect([code, errors]).toEqual([0, []]);
  return JSON.parse(stdout).key;
}

async function statusWith(key: string): Promise<number> {
  const response = await fetch(`${service?.url}/model-info`, { headers: { authorization: `Bearer ${key}` } });
  await response.arrayBuffer();
  return response.status;
}

describe('a file of keys', () => {
  it('lets several in, each under its name in the log', async () => {
    const [app, operator] = [await createKey('app'), await createKey('operator', '--scope', 'admin')];
    await start({ apiKey: 'from the environment' });
    for (const key of [app, operator, 'from the environment']) expect(await statusWith(key)).toBe(200);
    const refused = await fetch(`${service?.url}/model-info`, { headers: { 'x-api-key': `${app}x` } });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect((await fetch(`${service?.url}/healthz`)).status).toBe(200);
    const callers = log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request');
    expect(callers.map(({ key }) => key)).toEqual(['app', 'operator', 'environment', undefined, undefined]);
  });

  it('is followed: a revoked key stops working, a new one works, without a restart', async () => {
    const first = await createKey('first');
    await start();
    expect(await statusWith(first)).toBe(200);
    const second = await createKey('second');
    await eventually(
      () => statusWith(second),
      (status) => status === 200,
    );
    expect((await slipway(['keys', 'revoke', 'first', '--file', file])).code).toBe(0);
    await eventually(
      () => statusWith(first),
      (status) => status === 401,
    );
    expect(await statusWith(second)).toBe(200);
  });

  it('says what each may do: only admin loads and unloads models', async () => {
    const [app, operator] = [await createKey('app'), await createKey('operator', '--scope', 'admin')];
    await start();
    for (const path of ['/models/load', '/models/unload', '/api/v1/models/load', '/api/v1/models/unload']) {
      const by = (key: string) =>
        fetch(`${service?.url}${path}`, { method: 'POST', headers: { 'x-api-key': key }, body: '{"model": "nobody"}' });
      const refused = await by(app);
      expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining('scope admin')]);
      expect((await by(operator)).status).not.toBe(403);
    }
    const generated = await fetch(`${service?.url}/generate`, {
      method: 'POST',
      headers: { 'x-api-key': app },
      body: '{"prompt": "a", "max_new_tokens": 1}',
    });
    expect(generated.status).toBe(200);
  });

  it('that breaks or vanishes leaves the keys it held, and the log says so', async () => {
    const key = await createKey('app');
    await start();
    for (const spoil of [() => writeFileSync(file, 'keys: ['), () => writeFileSync(file, ''), () => rmSync(file)]) {
      log.length = 0;
      spoil();
      await eventually(
        () => log.join('\n'),
        (lines) => lines.includes('stay in force'),
      );
      expect(await statusWith(key)).toBe(200);
    }
    const sha256 = createHash('sha256').update('mended').digest('hex');
    writeFileSync(file, JSON.stringify({ keys: [{ name: 'app', sha256, scopes: ['infer'] }] }));
    await eventually(
      () => statusWith('mended'),
      (status) => status === 200,
    );
    expect(await statusWith(key)).toBe(401);
  });

  it('that cannot be used keeps the service from starting open', async () => {
    await expect(start()).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining(file) });
    writeFileSync(file, 'keys: 7');
    await expect(start()).rejects.toMatchObject({ code: 'invalid_field' });
  });

  it('without keys lets nobody in', async () => {
    writeFileSync(file, 'keys: []');
    await start();
    expect(await statusWith('')).toBe(401);
    expect(await statusWith('anything')).toBe(401);
  });

  it('and the keys are in no line of the log', async () => {
    const key = await createKey('app');
    await start({ apiKey: 'from the environment' });
    for (const sent of [key, 'from the environment', 'sk-slipway-wrong']) {
      await statusWith(sent);
      await fetch(`${service?.url}/nothing?api_key=${sent}`, { headers: { 'x-api-key': sent } });
    }
    const sha256 = createHash('sha256').update(key).digest('hex');
    expect(log.length).toBeGreaterThan(5);
    for (const secret of [key, sha256, 'from the environment', 'sk-slipway-wrong']) {
      expect(log.filter((line) => line.includes(secret))).toEqual([]);
    }
  });
});
