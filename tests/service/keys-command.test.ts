/** `slipway keys` as a user meets it: real processes over a real file. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Ended, slipway } from '../converter/testing/slipway.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-keys-'));
  file = join(folder, 'keys.yml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const keys = (...args: string[]): Promise<Ended> => slipway(['keys', ...args, '--file', file]);

describe('slipway keys', () => {
  it('shows a key once and keeps its digest, for the owner of the file alone', async () => {
    const { code, stdout, errors } = await keys('create', 'app');
    expect([code, errors]).toEqual([0, []]);
    const [key = ''] = stdout.split('\n');
    expect(key).toMatch(/^sk-slipway-[\w-]{43}$/);
    const text = readFileSync(file, 'utf8');
    expect(text).not.toContain(key);
    expect(text).toContain(createHash('sha256').update(key).digest('hex'));
    expect((statSync(file).mode & 0o777).toString(8)).toBe('600');
    expect(readdirSync(folder)).toEqual(['keys.yml']);
    expect((await keys('list')).stdout).not.toContain(key);
  });

  it('lists who has what, and until when', async () => {
    await keys('create', 'app', '--requests-per-minute', '60', '--tokens-per-minute', '5000', '--expires', '30d');
    await keys('create', 'operator', '--scope', 'admin');
    const { stdout } = await keys('list');
    expect(stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['NAME', 'SCOPES', 'CREATED', 'EXPIRES', 'REQUESTS/MIN', 'TOKENS/MIN'],
      ['app', 'infer', expect.stringMatching(/^\d{4}-/), expect.stringMatching(/^\d{4}-/), '60', '5000'],
      ['operator', 'admin', expect.stringMatching(/^\d{4}-/)],
      [''],
    ]);
    const listed = JSON.parse((await keys('list', '--json')).stdout);
    expect(listed.keys).toMatchObject([{ name: 'app', tokens_per_minute: 5000 }, { name: 'operator' }]);
    expect(JSON.stringify(listed)).not.toContain('sha256');
  });

  it('keeps what people wrote into the file', async () => {
    await keys('create', 'one');
    writeFileSync(file, readFileSync(file, 'utf8').replace('  - name: one', '  # The shop.\n  - name: one # Ann'));
    await keys('create', 'two');
    await keys('revoke', 'two');
    expect(readFileSync(file, 'utf8')).toContain('  # The shop.\n  - name: one # Ann\n');
  });

  it('writes JSON where the file is JSON', async () => {
    file = join(folder, 'keys.json');
    await keys('create', 'one');
    await keys('create', 'two');
    await keys('revoke', 'one');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ keys: [{ name: 'two', scopes: ['infer'] }] });
  });

  it('loses none of two that are made at once', async () => {
    const made = await Promise.all(['a', 'b', 'c'].map((name) => keys('create', name)));
    const told = made.filter(({ code }) => code === 0).length;
    for (const { code, errors } of made) {
      if (code !== 0) expect(errors[0]).toContain('another process is editing');
    }
    expect(JSON.parse((await keys('list', '--json')).stdout).keys).toHaveLength(told);
    expect(told).toBeGreaterThan(0);
  });

  it.each([
    [['create', 'a b'], 'letters, digits'],
    [['create', 'environment'], 'the service gives itself'],
    [['create', 'x', '--expires', 'soon'], 'neither days (90d) nor a date'],
    [['create', 'x', '--expires', '2001-01-01'], 'is past'],
    [['create', 'x', '--expires', '0d'], 'is past'],
    [['create', 'x', '--scope', 'root'], 'Allowed choices are infer, train, admin'],
    [['create', 'x', '--tokens-per-minute', '-1'], 'whole number'],
    [['list'], 'there is no '],
    [['revoke', 'x'], 'there is no '],
  ])("%j is the asker's mistake, and changes nothing", async (args, message) => {
    const { code, errors } = await keys(...args);
    expect(errors.join('\n')).toContain(message);
    expect(code).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('refuses a name that is taken and one that is not there, and leaves a broken file as it is', async () => {
    await keys('create', 'app');
    expect((await keys('create', 'app')).errors[0]).toContain('revoke it first');
    expect((await keys('revoke', 'ap')).errors[0]).toContain('there is app');
    writeFileSync(file, 'keys: [');
    expect((await keys('create', 'more')).errors[0]).toContain('not valid YAML');
    expect(readFileSync(file, 'utf8')).toBe('keys: [');
    expect(readdirSync(folder)).toEqual(['keys.yml']);
  });
});
