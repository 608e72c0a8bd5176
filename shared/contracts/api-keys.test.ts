/** Which files of keys are taken, and that a refusal never repeats what stands in them. */
import { describe, expect, it } from 'vitest';
import { parseKeysFile } from './api-keys.ts';

const SHA256 = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);

function yaml(...entries: string[]): string {
  return `keys:\n${entries.map((entry) => `  - ${entry}`).join('\n')}`;
}

describe('a file of keys', () => {
  it('is read as YAML, or as JSON when its name says so', async () => {
    const entry = { name: 'app', sha256: SHA256, scopes: ['infer'], expires: '2030-01-01T00:00:00Z' };
    expect(await parseKeysFile(yaml(JSON.stringify(entry)), 'keys.yml')).toEqual([entry]);
    expect(await parseKeysFile(JSON.stringify({ keys: [entry] }), 'keys.json')).toEqual([entry]);
    expect(await parseKeysFile('keys: []', 'keys.yml')).toEqual([]);
  });

  it.each([
    ['', 'Invalid input'],
    ['keys: {', 'not valid YAML in line 1'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [everything]}`), 'scopes'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: []}`), 'scopes'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [infer], limit: 3}`), 'limit'],
    [yaml(`{name: a/b, sha256: ${SHA256}, scopes: [infer]}`), 'letters, digits'],
    [yaml(`{name: anonymous, sha256: ${SHA256}, scopes: [admin]}`), 'the service gives itself'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [infer], expires: tomorrow}`), 'expires'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [infer], tokens_per_minute: 0}`), 'tokens_per_minute'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [infer]}`, `{name: a, sha256: ${OTHER}, scopes: [infer]}`), 'one name'],
    [yaml(`{name: a, sha256: ${SHA256}, scopes: [infer]}`, `{name: b, sha256: ${SHA256}, scopes: [infer]}`), 'one key'],
  ])('is refused in words: %j', async (text, problem) => {
    await expect(parseKeysFile(text, 'keys.yml')).rejects.toMatchObject({
      code: 'invalid_field',
      message: expect.stringContaining(problem),
    });
  });

  it.each([
    ['keys.yml', yaml('{name: a, sha256: sk-slipway-secret, scopes: [infer]}')],
    ['keys.yml', 'sk-slipway-secret: *secret'],
    ['keys.yml', 'keys: []\nsk-slipway-secret: app'],
    ['keys.json', '{"keys": sk-slipway-secret'],
  ])('that holds a key by mistake is refused without telling it: %s', async (path, text) => {
    const error = await parseKeysFile(text, path).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'invalid_field' });
    expect(JSON.stringify([error, String(error)])).not.toContain('secret');
  });
});
