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
  it('reads the published shape of config.yml as it stands', () => {
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
    expect(loadServiceConfig({ path })).toMatchObject({
      model: 'org/actor',
      baseModel: 'org/base',
      maxNewTokens: 512,
      defaultMaxNewTokens: 64,
      timeoutSeconds: 60,
      occupancySemaphore: 1,
      port: 8080,
    });
  });

  it('says every problem in one message', () => {
    const path = file('GENERATION: {MAX_NEW_TOKEN: 5}');
    const load = () => loadServiceConfig({ path, environment: { PORT: 'http', OCCUPANCY_SEMAPHORE: '0' } });
    for (const part of [/3 problems/, /PORT must be/, /OCCUPANCY_SEMAPHORE must be/, /MAX_NEW_TOKEN is not known/]) {
      expect(load).toThrow(part);
    }
    expect(load).toThrow(/did you mean GENERATION.MAX_NEW_TOKENS\?/);
  });

  it('refuses a default above the cap', () => {
    expect(() => loadServiceConfig({ environment: { MAX_NEW_TOKENS: '32' } })).toThrow(/DEFAULT_MAX_NEW_TOKENS \(64\)/);
  });

  it('names a file that was asked for and is not there', () => {
    expect(() => loadServiceConfig({ environment: { CONFIG: '/nowhere/config.yml' } })).toThrow(
      /\/nowhere\/config.yml cannot/,
    );
  });
});
