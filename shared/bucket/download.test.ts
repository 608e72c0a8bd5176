/** Downloads from sources that are cut, slow, wrong or gone. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { AppError } from '../contracts/errors.ts';
import { download, type Source, streamRange } from './download.ts';

const scratch = await mkdtemp(join(tmpdir(), 'slipway-download-'));
afterAll(() => rm(scratch, { recursive: true, force: true }));
let files = 0;
const newFile = () => join(scratch, `file-${files++}`);

const CONTENT = randomBytes(100_000);
const QUICK = { partBytes: 10_000, parallel: 3, stallMs: 50, attempts: 2 };

/** Serves CONTENT, in chunks; `fault` may change what it does, by how often it has been asked. */
function source(fault: (asked: number, start: number) => AsyncIterable<Uint8Array> | undefined = () => undefined) {
  const asked: [number, number][] = [];
  const it: Source & { readonly asked: typeof asked } = {
    asked,
    bytes: CONTENT.length,
    sha256: createHash('sha256').update(CONTENT).digest('hex'),
    where: 'the source',
    read: async (start, end) => fault(asked.push([start, end]) - 1, start) ?? chunks(start, end),
  };
  return it;
}

async function* chunks(start: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; at += 1000) yield CONTENT.subarray(at, Math.min(at + 1000, end));
}

describe('download', () => {
  it('puts together what comes in parallel parts', async () => {
    const [from, file] = [source(), newFile()];
    await download(from, file, QUICK);
    expect(await readFile(file)).toEqual(CONTENT);
    expect(from.asked).toHaveLength(10);
  });

  it('makes an empty file of nothing', async () => {
    const file = newFile();
    await download({ ...source(), bytes: 0, sha256: createHash('sha256').digest('hex') }, file);
    expect((await stat(file)).size).toBe(0);
  });

  it('goes on in a part that is cut off, where it was', async () => {
    const from = source((asked, start) => (asked === 4 ? chunks(start, start + 3000) : undefined));
    const file = newFile();
    await download(from, file, QUICK);
    expect(await readFile(file)).toEqual(CONTENT);
    expect(from.asked).toHaveLength(11);
    expect(from.asked.filter(([start]) => start % 10_000 === 3000)).toHaveLength(1);
  });

  it('asks again when nothing comes any more', async () => {
    const from = source((asked, start) => (asked === 2 ? stalling(start) : undefined));
    const file = newFile();
    await download(
      { ...from, read: async (start, end, signal) => abortable(await from.read(start, end, signal), signal) },
      file,
      QUICK,
    );
    expect(await readFile(file)).toEqual(CONTENT);
  });

  it('keeps what came before a failure, and the next attempt asks only for the rest', async () => {
    const file = newFile();
    const failing = source((_, start) => (start >= 50_000 ? broken() : undefined));
    await expect(download(failing, file, QUICK)).rejects.toMatchObject({
      code: 'bucket_unavailable',
      message: expect.stringContaining('try again to go on'),
    });
    expect((await stat(file)).size).toBe(50_000);
    const from = source();
    await download(from, file, QUICK);
    expect(await readFile(file)).toEqual(CONTENT);
    expect(Math.min(...from.asked.map(([start]) => start))).toBe(50_000);
  });

  it.each([
    ['is wrong', Buffer.alloc(30_000)],
    ['is too long', Buffer.alloc(100_001)],
    ['has the right length but is wrong', Buffer.alloc(100_000)],
  ])('begins anew when what an earlier attempt left %s', async (_, left) => {
    const file = newFile();
    await writeFile(file, left);
    await download(source(), file, QUICK);
    expect(await readFile(file)).toEqual(CONTENT);
  });

  it('says when the source is not what it should be, and keeps nothing of it', async () => {
    const file = newFile();
    const wrong = { ...source(), sha256: 'a'.repeat(64) };
    await expect(download(wrong, file, QUICK)).rejects.toMatchObject({
      code: 'internal',
      message: expect.stringContaining('the source is damaged'),
    });
    expect((await stat(file)).size).toBe(0);
  });

  it('gives up at once when there is nothing to read', async () => {
    const from = source(() => {
      throw new AppError('not_found', 'gone');
    });
    await expect(download(from, newFile(), QUICK)).rejects.toMatchObject({ code: 'not_found' });
    expect(from.asked.length).toBeLessThanOrEqual(QUICK.parallel);
  });

  it('never takes more bytes than it asked for', async () => {
    const from = source((_, start) => chunks(start, CONTENT.length));
    await expect(download(from, newFile(), QUICK)).rejects.toThrow('more bytes came');
  });
});

describe('streamRange', () => {
  it('gives exactly the range, over cuts', async () => {
    const from = source((asked, start) => (asked < 5 ? chunks(start, start + 500) : undefined));
    const parts: Uint8Array[] = [];
    for await (const part of streamRange(from, 12_345, 23_456, undefined, QUICK)) parts.push(part);
    expect(Buffer.concat(parts)).toEqual(CONTENT.subarray(12_345, 23_456));
    expect(from.asked).toHaveLength(6);
  });

  it('does not take a slow reader for a stalled source', async () => {
    const from = source();
    let bytes = 0;
    for await (const part of streamRange(from, 0, 3000, undefined, { ...QUICK, stallMs: 20 })) {
      bytes += part.byteLength;
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    expect([bytes, from.asked.length]).toEqual([3000, 1]);
  });
});

async function* stalling(start: number): AsyncGenerator<Uint8Array> {
  yield CONTENT.subarray(start, start + 1000);
  await new Promise(() => undefined);
}

async function* broken(): AsyncGenerator<Uint8Array> {
  yield* [];
  throw new Error('connection reset');
}

/** What every real stream does: it ends with an error when its signal says so. */
async function* abortable(from: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  aborted.catch(() => undefined);
  const iterator = from[Symbol.asyncIterator]();
  for (;;) {
    const { value, done } = await Promise.race([iterator.next(), aborted]);
    if (done) return;
    yield value;
  }
}
