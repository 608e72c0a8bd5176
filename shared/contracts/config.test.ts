import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadServiceConfig } from './config.ts';

function file(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'slipway-config-')), 'config.yml');
  writeFileSync(path, text);
  return path;
}

describe('loadServiceConfig', () => {
  it('reads the published shape of config.yml as it stands', async () => {
    const path = file(`
HUGGINGFACE_MODEL:
  NAME: org/actor
  BASE: org/base
GENERATION:
  MAX_NEW_TOKENS: 512
  DEFAULT_MAX_NEW_TOKENS: 64
  TIMEOUT_SECONDS: 60
  OCCUPANCY_SEMAPHORE: 1
`);
    expect(await loadServiceConfig({ path })).toMatchObject({
      model: 'org/actor',
      baseModel: 'org/base',
      maxNewTokens: 512,
      defaultMaxNewTokens: 64,
      timeoutSeconds: 60,
      occupancySemaphore: 1,
      port: 8080,
    });
  });

  it('says every problem in one message', async () => {
    const path = file('GENERATION: {MAX_NEW_TOKEN: 5}');
    const load = () => loadServiceConfig({ path, environment: { PORT: 'http', OCCUPANCY_SEMAPHORE: '0' } });
    for (const part of [/3 problems/, /PORT must be/, /OCCUPANCY_SEMAPHORE must be/, /MAX_NEW_TOKEN is not known/]) {
      await expect(load()).rejects.toThrow(part);
    }
    await expect(load()).rejects.toThrow(/did you mean GENERATION.MAX_NEW_TOKENS\?/);
  });

  it('refuses a default above the cap', async () => {
    await expect(loadServiceConfig({ environment: { MAX_NEW_TOKENS: '32' } })).rejects.toThrow(
      /DEFAULT_MAX_NEW_TOKENS \(64\)/,
    );
  });

  it('refuses a store of sessions that is no Redis, without repeating what may hold a password', async () => {
    const load = (SESSIONS_URL: string) => loadServiceConfig({ environment: { SESSIONS_URL } });
    expect((await load('rediss://:secret@redis:6380/2')).sessionsUrl).toBe('rediss://:secret@redis:6380/2');
    for (const url of ['http://:secret@redis', 'redis:6379:secret', ':secret@redis']) {
      const error = await load(url).catch((reason: unknown) => reason);
      expect(String(error)).toMatch(/SESSIONS_URL must be redis:/);
      expect(String(error)).not.toContain('secret');
    }
  });

  it('names a file that is not there, or is no YAML, and where it goes wrong', async () => {
    const missing = loadServiceConfig({ environment: { CONFIG: '/nowhere/config.yml' } });
    await expect(missing).rejects.toThrow(/\/nowhere\/config.yml cannot be read/);
    await expect(loadServiceConfig({ path: file('a: [1') })).rejects.toThrow(/config.yml is not valid YAML: .*line 1/);
  });

  it('takes origins with commas or as a list, and nothing that is more than an origin', async () => {
    const origins = ['https://app.example.com', 'http://localhost:5173'];
    const environment = { CORS_ORIGINS: ' https://app.example.com, http://localhost:5173 ' };
    expect((await loadServiceConfig({ path: null, environment })).corsOrigins).toEqual(origins);
    const path = file(`SERVER: {CORS_ORIGINS: ${JSON.stringify(origins)}}`);
    expect((await loadServiceConfig({ path })).corsOrigins).toEqual(origins);
    expect((await loadServiceConfig({ path: null })).corsOrigins).toEqual([]);
    for (const wrong of ['example.com', 'https://a.example/', 'https://a.example/path', 'null', '*.example.com']) {
      await expect(loadServiceConfig({ path: null, environment: { CORS_ORIGINS: wrong } })).rejects.toThrow(
        /CORS_ORIGINS must be origins such as/,
      );
    }
  });
});
