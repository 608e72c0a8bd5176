/** Pulling from a hub that speaks the real protocol, over a network that has every fault. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { type PullOptions, type PullProgress, pull } from './pull.ts';
import { type HubOptions, type HubServer, startHub } from './testing/hub-server.ts';

const REPOSITORY = 'org/tiny';
const FILES = {
  '.gitattributes': Buffer.from('*.safetensors filter=lfs'),
  'README.md': Buffer.from('# tiny'),
  'config.json': Buffer.from('{"model_type": "llama"}'),
  'model.safetensors': randomBytes(600_000),
  'pytorch_model.bin': randomBytes(50_000),
  'tokenizer.json': Buffer.from('{"model": {"type": "BPE"}, "ünï": "cødé"}'),
  'tokenizer_config.json': Buffer.from('{}'),
};
const WANTED = ['config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json'];
const QUICK = { shortestPause: 5, longestPause: 20, attempts: 3, longestWait: 2, stall: 500 };

let hub: HubServer;
afterEach(() => hub.close());

async function start(options: HubOptions = {}, files: Record<string, Buffer> = FILES): Promise<string> {
  hub = await startHub(REPOSITORY, options);
  hub.commit(files);
  const folder = mkdtempSync(join(tmpdir(), 'slipway-pull-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const pullInto = (folder: string, options: Partial<PullOptions> = {}) =>
  pull({ repository: REPOSITORY, revision: 'main', folder, endpoint: hub.endpoint, patience: QUICK, ...options });

function expectWhole(folder: string, files: Record<string, Buffer> = FILES): void {
  expect(readdirSync(folder).sort()).toEqual(['.slipway-pull.json', ...WANTED].sort());
  for (const name of WANTED) expect(readFileSync(join(folder, name)).equals(files[name] ?? Buffer.alloc(0))).toBe(true);
}

const partSize = (folder: string) => statSync(join(folder, 'model.safetensors.part')).size;
const requestsFor = (name: string) => hub.log.filter((line) => line.startsWith('CDN') && line.includes(name));

describe('pull', () => {
  it('fetches what a conversion needs, whole and of one commit, and nothing else', async () => {
    const folder = await start();
    const seen: PullProgress[] = [];
    const pulled = await pullInto(folder, { onProgress: (progress) => seen.push(progress) });
    expectWhole(folder);
    const bytes = WANTED.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
    expect(pulled).toMatchObject({ repository: REPOSITORY, files: 4, bytes, downloadedBytes: bytes });
    expect(pulled.commit).toMatch(/^[0-9a-f]{40}$/);
    expect(seen.at(-1)).toEqual({ bytes, totalBytes: bytes, files: 4, totalFiles: 4 });
  });

  it('fetches nothing a second time, but what was changed or damaged', async () => {
    const folder = await start();
    await pullInto(folder);
    expect((await pullInto(folder)).downloadedBytes).toBe(0);
    const damaged = Buffer.from(FILES['model.safetensors']);
    damaged[1000] = (damaged[1000] ?? 0) ^ 1;
    writeFileSync(join(folder, 'model.safetensors'), damaged);
    expect((await pullInto(folder)).downloadedBytes).toBe(600_000);
    expectWhole(folder);
  });

  it('shows its token to the hub and to nobody else', async () => {
    const folder = await start({ token: 'a-token-without-hf_' });
    await pullInto(folder, { token: 'a-token-without-hf_' });
    expectWhole(folder);
    expect(requestsFor('model.safetensors')).toHaveLength(1);
    expect(hub.leaked).toEqual([]);
  });

  it('goes on where a connection was cut, again and again', async () => {
    const folder = await start();
    hub.faults.push({ at: '/resolve/', status: 503 }, { at: 'CDN', times: 4, cutAfter: 100_000 });
    const { downloadedBytes } = await pullInto(folder);
    expectWhole(folder);
    const ranges = requestsFor('model.safetensors').map((line) => Number(/bytes=(\d+)-/.exec(line)?.[1] ?? 0));
    expect(ranges).toEqual([0, 100_000, 200_000, 300_000, 400_000]);
    expect(downloadedBytes).toBe(600_000 + 23 + FILES['tokenizer.json'].length + 2);
  });

  it('goes on in the next attempt where the last one had to give up', async () => {
    const folder = await start();
    hub.faults.push({ at: 'CDN', cutAfter: 200_000 }, { at: 'CDN', times: 99, status: 503 });
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringMatching(/status 503, 3 times in a row.*what has been downloaded is kept/),
    });
    expect(partSize(folder)).toBe(200_000);
    expect(existsSync(join(folder, 'model.safetensors'))).toBe(false);
    hub.faults.length = 0;
    const bytes: number[] = [];
    const pulled = await pullInto(folder, { onProgress: (progress) => bytes.push(progress.bytes) });
    expectWhole(folder);
    expect(requestsFor('model.safetensors').at(-1)).toContain('bytes=200000-');
    expect(pulled.downloadedBytes).toBeLessThan(450_000);
    expect(bytes.at(-1)).toBe(pulled.bytes);
  });

  it('begins a file anew when a new commit has changed it in between', async () => {
    const folder = await start();
    hub.faults.push({ at: '/resolve/x', times: 0 }, { at: `${'model.safetensors'}`, times: 1, slow: 0 });
    hub.faults.push(
      { at: 'model.safetensors', cutAfter: 200_000 },
      { at: 'model.safetensors', times: 99, status: 500 },
    );
    await expect(pullInto(folder)).rejects.toThrow();
    expect(partSize(folder)).toBe(200_000);
    hub.faults.length = 0;
    const changed = { ...FILES, 'model.safetensors': randomBytes(700_000) };
    hub.commit(changed);
    await pullInto(folder);
    expectWhole(folder, changed);
    expect(requestsFor('model.safetensors').at(-1)).not.toContain('bytes=');
  });

  it('removes the shards of an older commit, and nothing it did not make', async () => {
    const sharded = {
      'config.json': FILES['config.json'],
      'model.safetensors.index.json': Buffer.from('{}'),
      'model-00001-of-00002.safetensors': randomBytes(20_000),
      'model-00002-of-00002.safetensors': randomBytes(20_000),
    };
    const folder = await start({}, sharded);
    await pullInto(folder);
    expect(readdirSync(folder)).toContain('model-00002-of-00002.safetensors');
    writeFileSync(join(folder, 'notes.txt'), 'mine');
    hub.commit(FILES);
    await pullInto(folder);
    rmSync(join(folder, 'notes.txt'));
    expectWhole(folder);
  });

  it('begins a file anew when the CDN has other bytes by now, or knows no ranges', async () => {
    const folder = await start();
    await pullInto(folder);
    rmSync(join(folder, 'model.safetensors'));
    writeFileSync(join(folder, 'model.safetensors.part'), FILES['model.safetensors'].subarray(0, 1000));
    const digest = `sha256 ${sha256Of(FILES['model.safetensors'])}`;
    writeFileSync(join(folder, 'model.safetensors.part.json'), JSON.stringify({ digest, etag: '"another"' }));
    const pulled = await pullInto(folder);
    expect(pulled.downloadedBytes).toBe(600_000);
    expectWhole(folder);

    await hub.close();
    const other = await start({ withoutRanges: true });
    writeFileSync(join(other, 'model.safetensors.part'), FILES['model.safetensors'].subarray(0, 1000));
    writeFileSync(join(other, 'model.safetensors.part.json'), JSON.stringify({ digest, etag: null }));
    const bytes: number[] = [];
    await pullInto(other, { onProgress: (progress) => bytes.push(progress.bytes) });
    expectWhole(other);
    expect(Math.max(...bytes)).toBe(bytes.at(-1));
  });

  it('throws a part away whose bytes turn out to be wrong, and has the right ones in the end', async () => {
    const folder = await start();
    writeFileSync(join(folder, 'model.safetensors.part'), randomBytes(1000));
    const digest = `sha256 ${sha256Of(FILES['model.safetensors'])}`;
    writeFileSync(join(folder, 'model.safetensors.part.json'), JSON.stringify({ digest, etag: null }));
    await pullInto(folder);
    expectWhole(folder);
  });

  it.each(['tokenizer.json', 'model.safetensors'])('refuses wrong bytes of %s that come twice', async (name) => {
    const folder = await start();
    hub.faults.push({ at: name, times: 99, wrongBytes: true });
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'invalid_source',
      message: expect.stringMatching(new RegExp(`^${name}: the bytes that came are not those the hub announces`)),
    });
    expect(existsSync(join(folder, name))).toBe(false);
  });

  it('waits as long as a 429 says, and no longer than is bearable', async () => {
    const folder = await start();
    hub.faults.push({ at: '/tree/', status: 429, headers: { 'Retry-After': '1' } });
    const waits: string[] = [];
    const began = performance.now();
    await pullInto(folder, { onProgress: ({ waiting }) => waiting && waits.push(waiting) });
    expect(performance.now() - began).toBeGreaterThan(990);
    expect(waits).toEqual(['the hub has had too many requests; again in 1 s']);
    expectWhole(folder);
    hub.faults.push({ at: '/revision/', status: 429, headers: { RateLimit: '"api";r=0;t=3600' } });
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringMatching(/asks to wait 3600 s/),
    });
  });

  it('gives up a connection on which nothing comes, and takes another', async () => {
    const folder = await start();
    hub.faults.push({ at: 'resolve-cache', silent: true });
    const waits: string[] = [];
    await pullInto(folder, { onProgress: ({ waiting }) => waiting && waits.push(waiting) });
    expect(waits[0]).toContain('nothing came for 0.5 s');
    expectWhole(folder);
  });

  it('says what to do about a gated, a private and a missing model, a missing revision, and a hub that is not there', async () => {
    const folder = await start({ token: 'right', gated: true });
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(/is gated; .*accept its terms, then set HF_TOKEN or HF_TOKEN_READ/),
    });
    await expect(pullInto(folder, { token: 'wrong' })).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringMatching(/is gated; .*with a token of the account that was given access/),
    });
    await expect(pullInto(folder, { repository: 'org/nothing' })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringMatching(/^org\/nothing is not on the hub, or it is private/),
    });
    await expect(pullInto(folder, { revision: 'v9' })).rejects.toMatchObject({
      code: 'not_found',
      message: 'org/tiny at v9: there is no such revision',
    });
    await hub.close();
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringMatching(/does not answer \(ECONNREFUSED\), 3 times in a row. Check the network/),
    });
  });

  it('says that an address is no hub', async () => {
    const folder = await start();
    hub.faults.push({ at: '/revision/', status: 200 });
    await expect(pullInto(folder)).rejects.toMatchObject({
      code: 'source_unavailable',
      message: expect.stringMatching(/does not answer as a Hugging Face hub does/),
    });
  });

  it('refuses what is no repository name, and a folder that holds another model or is being pulled into', async () => {
    const folder = await start();
    for (const repository of ['../x', 'a/b/c', '', 'a b', 'org/..', 'https://x/y']) {
      await expect(pullInto(folder, { repository })).rejects.toMatchObject({ code: 'invalid_field' });
    }
    hub.faults.push({ at: 'resolve-cache', silent: true });
    const running = pullInto(folder);
    while (!existsSync(join(folder, '.slipway-pull.lock'))) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(pullInto(folder)).rejects.toMatchObject({ code: 'conflict' });
    await running;
    writeFileSync(
      join(folder, '.slipway-pull.json'),
      JSON.stringify({ repository: 'org/other', commit: '', files: [] }),
    );
    await expect(pullInto(folder)).rejects.toMatchObject({ code: 'already_exists' });
  });

  it('takes files of somebody else that are right, and writes over none that are not', async () => {
    const folder = await start();
    writeFileSync(join(folder, 'model.safetensors'), FILES['model.safetensors']);
    writeFileSync(join(folder, 'config.json'), 'mine');
    await expect(pullInto(folder)).rejects.toMatchObject({ code: 'already_exists' });
    expect(readFileSync(join(folder, 'config.json'), 'utf8')).toBe('mine');
    rmSync(join(folder, 'config.json'));
    expect((await pullInto(folder)).downloadedBytes).toBeLessThan(1000);
    expectWhole(folder);
  });

  it('stops when it is told to, and keeps what has come', async () => {
    const folder = await start();
    hub.faults.push({ at: 'CDN', slow: 2 });
    const stop = new AbortController();
    const running = pullInto(folder, {
      signal: stop.signal,
      onProgress: ({ bytes }) => bytes > 50_000 && stop.abort(new Error('told to')),
    });
    await expect(running).rejects.toThrow('told to');
    expect(partSize(folder)).toBeGreaterThan(10_000);
    expect(existsSync(join(folder, '.slipway-pull.lock'))).toBe(false);
    hub.faults.length = 0;
    expect((await pullInto(folder)).downloadedBytes).toBeLessThan(595_000);
    expectWhole(folder);
  });
});

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
