/**
 * A URL's file in the cache: fetched once, resumed where an earlier attempt stopped, hashed, and given its name when it is whole. Only
 * http and https. Knows nothing of what is in it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { z } from 'zod';
import type { FindOptions, FoundFile } from './found-file.ts';

/** Training data that one machine prepares; a server that sends without end is cut off here. */
const MAX_DOWNLOAD_BYTES = 64 * 2 ** 30;
const ATTEMPTS = 5;
const STALL_MILLISECONDS = 30_000;

/** Beside a part: of which state of the file it is one. Beside a whole file: what it is. */
const Note = z.object({ url: z.string(), validator: z.string().nullable(), sha256: z.string().optional() });
type Note = z.infer<typeof Note>;

/** AppError invalid_field: no such URL is fetched. source_unavailable: it could not be had. */
export async function downloadToCache(
  source: string,
  options: FindOptions,
  limit = MAX_DOWNLOAD_BYTES,
): Promise<FoundFile> {
  const url = parseUrl(source);
  const name = (url.pathname.split('/').at(-1) || url.hostname).replaceAll(/[^\w.-]/g, '_').slice(-100);
  const folder = join(options.cacheFolder, createHash('sha256').update(url.href).digest('hex').slice(0, 32));
  const path = join(folder, name);
  const noteFile = join(folder, 'download.json');
  await mkdir(folder, { recursive: true });
  const whole = await stat(path).catch(() => undefined);
  const file = (bytes: number) => ({ path, name: url.href, bytes });
  if (whole) return file(whole.size);

  const part = `${path}.part`;
  for (let attempt = 1; ; attempt++) {
    try {
      await fetchInto(part, url, { noteFile, limit, ...options });
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (error instanceof AppError) throw error;
      if (attempt === ATTEMPTS) {
        const why =
          error instanceof Error ? (error.cause instanceof Error ? error.cause.message : error.message) : String(error);
        throw new AppError(
          'source_unavailable',
          `${url.href} cannot be fetched: ${why}; what has come is kept, run it again`,
          {
            cause: error,
          },
        );
      }
    }
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(part), hash);
  await writeFile(
    noteFile,
    JSON.stringify({ url: url.href, validator: null, sha256: hash.digest('hex') } satisfies Note),
  );
  await rename(part, path);
  return file((await stat(path)).size);
}

function parseUrl(source: string): URL {
  const url = URL.parse(source);
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '') return url;
  throw new AppError(
    'invalid_field',
    `${source} is not fetched: only http:// and https:// addresses without a password are`,
  );
}

async function fetchInto(
  part: string,
  url: URL,
  { noteFile, limit, signal, onDownload }: FindOptions & { readonly noteFile: string; readonly limit: number },
): Promise<void> {
  const note = await readNote(noteFile);
  const here = note?.validator ? ((await stat(part).catch(() => undefined))?.size ?? 0) : 0;
  const stalled = new AbortController();
  const watchdog = setTimeout(() => stalled.abort(new Error('no byte came for 30 s')), STALL_MILLISECONDS);
  try {
    const response = await fetch(url, {
      headers: {
        'user-agent': 'slipway',
        'accept-encoding': 'identity',
        ...(here > 0 ? { range: `bytes=${here}-`, 'if-range': note?.validator ?? '' } : {}),
      },
      signal: AbortSignal.any([stalled.signal, ...(signal ? [signal] : [])]),
    });
    const isPart = response.status === 206;
    if (isPart && Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]) !== here) {
      await rm(part, { force: true });
      throw new Error('the server sent another range than the one asked for');
    }
    if (response.status === 416) {
      await rm(part, { force: true });
      throw new Error('the file has become shorter');
    }
    if (!response.ok || !response.body) refuse(response.status, url);
    const length = Number(response.headers.get('content-length') ?? Number.NaN);
    const before = isPart ? here : 0;
    const total = Number.isFinite(length) ? before + length : undefined;
    requireBelow(total ?? 0, limit, url);
    if (!isPart)
      await writeFile(noteFile, JSON.stringify({ url: url.href, validator: strongValidator(response) } satisfies Note));
    let done = before;
    await pipeline(
      Readable.fromWeb(response.body as import('node:stream/web').ReadableStream),
      async function* (chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          watchdog.refresh();
          done += chunk.length;
          requireBelow(done, limit, url);
          onDownload?.(done, total);
          yield chunk;
        }
      },
      createWriteStream(part, { flags: isPart ? 'a' : 'w' }),
    );
    if (total !== undefined && done !== total) throw new Error(`the connection ended after ${done} of ${total} bytes`);
  } finally {
    clearTimeout(watchdog);
  }
}

/** An answer that another attempt will not change ends it; any other may pass. */
function refuse(status: number, url: URL): never {
  if (status === 408 || status === 429 || status >= 500) throw new Error(`the server answered ${status}`);
  throw new AppError('source_unavailable', `${url.href}: the server answered ${status}`);
}

function requireBelow(bytes: number, limit: number, url: URL): void {
  if (bytes <= limit) return;
  throw new AppError('source_unavailable', `${url.href} is larger than the ${limit} bytes that are fetched`);
}

/** What names these exact bytes, so that a part can be gone on with. */
function strongValidator({ headers }: Response): string | null {
  const tag = headers.get('etag');
  return tag?.startsWith('"') ? tag : headers.get('last-modified');
}

async function readNote(path: string): Promise<Note | undefined> {
  try {
    return Note.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // None yet, or cut short: then a part is of unknown origin and is fetched anew.
    return undefined;
  }
}
