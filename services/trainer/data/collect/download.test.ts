import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../testing/tiny-text.ts';
import { downloadToCache } from './download.ts';
import { findFiles } from './find-files.ts';

const BYTES = Buffer.from(Array.from({ length: 20_000 }, (_, n) => `{"text": "line ${n}"}\n`).join(''));

/** Answers with `respond`; gives the address and what was asked for. */
async function serve(respond: (request: IncomingMessage, response: ServerResponse, call: number) => void) {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    ranges.push(request.headers.range);
    respond(request, response, ranges.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return { url: `http://127.0.0.1:${port}/data.jsonl`, ranges };
}

const whole = (response: ServerResponse) => response.writeHead(200, { 'content-length': BYTES.length, etag: '"1"' });

describe('a URL', () => {
  test('is fetched once', async () => {
    const { url, ranges } = await serve((_, response) => whole(response).end(BYTES));
    const cacheFolder = temporaryFolder();
    const [first] = await findFiles([url], { cacheFolder });
    const [second] = await findFiles([url], { cacheFolder });
    expect(readFileSync(first?.path ?? '').equals(BYTES)).toBe(true);
    expect(second).toEqual(first);
    expect(first).toMatchObject({ name: url, bytes: BYTES.length });
    expect(ranges).toHaveLength(1);
  });

  test('is gone on with where it broke', async () => {
    const half = BYTES.length >> 1;
    const { url, ranges } = await serve((request, response, call) => {
      if (call === 1) {
        whole(response).write(BYTES.subarray(0, half), () => setTimeout(() => response.destroy(), 100));
        return;
      }
      const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1]);
      expect(request.headers['if-range']).toBe('"1"');
      const range = `bytes ${start}-${BYTES.length - 1}/${BYTES.length}`;
      response.writeHead(206, { 'content-range': range, 'content-length': BYTES.length - start, etag: '"1"' });
      response.end(BYTES.subarray(start));
    });
    const { path } = await downloadToCache(url, { cacheFolder: temporaryFolder() });
    expect(readFileSync(path).equals(BYTES)).toBe(true);
    expect(ranges[1]).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test('that has changed meanwhile is fetched anew', async () => {
    const { url } = await serve((_, response, call) => {
      if (call === 1) whole(response).write(Buffer.from('old bytes'), () => setTimeout(() => response.destroy(), 100));
      else response.writeHead(200, { 'content-length': BYTES.length, etag: '"2"' }).end(BYTES);
    });
    const { path } = await downloadToCache(url, { cacheFolder: temporaryFolder() });
    expect(readFileSync(path).equals(BYTES)).toBe(true);
  });

  test('that is larger than allowed is not', async () => {
    const { url } = await serve((_, response) => response.writeHead(200).end(BYTES));
    await expect(downloadToCache(url, { cacheFolder: temporaryFolder() }, 1000)).rejects.toThrow(
      /larger than the 1000 bytes/,
    );
  });

  test('that is not there is told at once', async () => {
    const { url, ranges } = await serve((_, response) => response.writeHead(404).end());
    await expect(downloadToCache(url, { cacheFolder: temporaryFolder() })).rejects.toThrow(/answered 404/);
    expect(ranges).toHaveLength(1);
  });

  test.each(['file:///etc/passwd', 'ftp://example.org/a', 'http://user:secret@example.org/a'])(
    '%s is refused',
    async (url) => {
      await expect(findFiles([url], { cacheFolder: temporaryFolder() })).rejects.toMatchObject({
        code: 'invalid_field',
      });
    },
  );
});
