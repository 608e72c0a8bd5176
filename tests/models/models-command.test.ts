/** `slipway models` as a user meets it: real processes over a bucket of several versions. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { openFolderBucket } from '@slipway/shared/bucket/folder.ts';
import { draftManifest, writeDraftFiles } from '@slipway/shared/bucket/testing/draft.ts';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { type Ended, slipway } from '../converter/testing/slipway.ts';

let bucket: Bucket;
let folder: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'slipway-models-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  bucket = openFolderBucket(join(folder, 'bucket'));
  for (const [content, precision, perplexity] of [
    ['one', 'fp32', 20],
    ['two', 'int4', 20.6],
  ] as const) {
    const staging = await bucket.stage('tiny');
    await writeDraftFiles(staging, content);
    const draft = draftManifest('tiny');
    const parity = { ...draft.parity, perplexity, perplexity_source: 20 };
    await staging.publish({ ...draft, precision, parity, bits_per_weight: precision === 'fp32' ? 32 : 4.5 });
  }
});

function models(...args: string[]): Promise<Ended> {
  return slipway(['models', ...args, '--bucket', bucket.location]);
}

/** Only the outcome, of a command that must succeed. */
async function said(...args: string[]): Promise<string> {
  const ended = await models(...args);
  expect([ended.code, ended.errors]).toEqual([0, []]);
  return ended.stdout.trimEnd();
}

async function json(...args: string[]) {
  const lines = (await said(...args, '--json')).split('\n');
  // biome-ignore lint/suspicious/noExplicitAny: tests look into outcomes of every shape.
  return JSON.parse(lines.at(-1) ?? '') as any;
}

describe('slipway models', () => {
  it('lists what there is, newest first, with what points where', async () => {
    await bucket.setAlias('tiny', 'champion', 'v001');
    const text = await said('list');
    expect(text.split('\n').map((line) => line.trimEnd().split(/ {2,}/))).toEqual([
      ['MODEL', 'VERSION', 'ALIASES', 'PRECISION', 'SIZE', 'BITS', 'PERPLEXITY', 'PARAMETERS', 'MADE'],
      [
        'tiny',
        'v002',
        'latest',
        'int4',
        expect.stringMatching(/^\d+ B$/),
        '4.50',
        '1.0300 x source',
        '1',
        expect.stringMatching(/now|ago$/),
      ],
      [
        '',
        'v001',
        'champion',
        'fp32',
        expect.stringMatching(/^\d+ B$/),
        '32.00',
        '1.0000 x source',
        '1',
        expect.any(String),
      ],
    ]);
    expect(await json('list', 'tiny')).toMatchObject({
      models: [{ name: 'tiny', versions: [{ version: 'v002' }, { version: 'v001', aliases: ['champion'] }] }],
    });
  });

  it('moves names forward and back, and tells from where to where', async () => {
    expect(await said('promote', 'tiny@v001')).toBe('tiny@champion: nothing -> v001');
    expect(await said('promote', 'tiny@v002', '--expected', 'v001')).toBe('tiny@champion: v001 -> v002');
    expect(await json('rollback', 'tiny')).toEqual({
      name: 'tiny',
      alias: 'champion',
      before: 'v002',
      version: 'v001',
    });
    expect(await said('promote', 'tiny@latest', '--alias', 'canary')).toBe('tiny@canary: nothing -> v002');
    const lost = await models('promote', 'tiny@v002', '--expected', 'v009');
    expect([lost.code, lost.stdout]).toEqual([2, '']);
    expect(lost.errors.join()).toMatch(/champion of tiny is v001 now/);
    expect((await models('promote', 'tiny')).errors.join()).toMatch(/does not name one version/);
  });

  it('removes, restores and frees', async () => {
    await bucket.setAlias('tiny', 'champion', 'v002');
    expect(await said('remove', 'tiny@v001')).toMatch(/^tiny@v001 is removed; slipway models restore tiny@v001/);
    expect(await said('list')).toMatch(/\n\ntiny@v001 was removed .*: slipway models restore tiny@v001$/);
    expect(await said('restore', 'tiny@v001')).toBe('tiny@v001 is back');
    expect((await models('remove', 'tiny@v002')).errors.join()).toMatch(/is champion/);
    await bucket.remove('tiny', 'v001');
    const planned = await json('gc', '--grace-days', '0', '--dry-run');
    expect(planned).toMatchObject({ versions: ['tiny@v001'], blobs: 3, dry_run: true });
    expect(await said('gc', '--grace-days', '0')).toMatch(/^Freed \d+ B in 3 files; for good: tiny@v001$/);
    expect(await said('gc')).toBe('There is nothing to free.');
  });

  it('shows a version and what happened to its name', async () => {
    await bucket.setAlias('tiny', 'champion', 'v002');
    const text = await said('show', 'tiny');
    expect(text).toMatch(/^tiny@v002\n {2}aliases {2,}champion, latest\n {2}made/);
    expect(text).toMatch(/perplexity +20\.600, 1\.0300 times the source's/);
    expect(text).toMatch(/What happened to the name\n .* champion -> v002$/);
    expect(await json('show', 'tiny@v001')).toMatchObject({ name: 'tiny', version: 'v001', aliases: [] });
  });

  it('compares two versions: figures, what differs, what does not', async () => {
    const text = await said('compare', 'tiny@v001', 'v002');
    expect(text).toMatch(/bits per weight +32\.00 +4\.50 {2}7\.11 times smaller/);
    expect(text).toMatch(/perplexity +20\.000 +20\.600 {2}on other text/);
    expect(text).toMatch(/times its source's +1\.0000 +1\.0300 {2}x 1\.0300/);
    expect(text).toMatch(/precision +fp32 +int4/);
    expect(text).toMatch(/The same in both: quantization, architecture, end of text, source\.$/);
    expect(await json('compare', 'tiny@v001', 'tiny@v001')).toMatchObject({ differences: [], is_same_text: true });
  });

  it('exports a version, and tells programs how far it is in lines of JSON', async () => {
    const target = join(folder, 'out');
    const lines = (await said('export', 'tiny@v001', target, '--json')).split('\n').map((line) => JSON.parse(line));
    expect(lines.at(-1)).toMatchObject({ name: 'tiny', version: 'v001', target, files: 3 });
    for (const line of lines.slice(0, -1)) expect(line).toMatchObject({ event: 'progress', phase: 'copying' });
    expect(readFileSync(join(target, 'tokenizer.json'), 'utf8')).toBe('tokenizer.json: one');
    expect(readdirSync(folder).sort()).toEqual(['bucket', 'out']);
  });

  it('says what is wrong, and what there is', async () => {
    const ended = await models('list', 'nobody');
    expect([ended.code, ended.errors]).toEqual([
      2,
      [`slipway: model "nobody" is not in ${bucket.location}; there is tiny`],
    ]);
    bucket = openFolderBucket(join(folder, 'empty'));
    expect(await said('list')).toMatch(/holds no models yet\.\nMake one: slipway convert/);
  });
});
