/**
 * One blob from a file to S3: whole or not there, and checked by the server against the sha256 it is named by, in one request or, when
 * it is large, in parts. Knows nothing of versions.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { CompletedPart } from '@aws-sdk/client-s3';
import { AppError } from '../../contracts/errors.ts';
import { inParallel } from '../in-parallel.ts';
import { blobKey } from '../keys.ts';
import type { ObjectStore } from './object-store.ts';

export interface UploadOptions {
  /** Files larger than this go in parts of this size; S3 wants at least 5 MiB. */
  readonly partBytes?: number;
}

const PART_BYTES = 16 * 2 ** 20;
const MOST_PARTS = 10_000;
const PARALLEL_PARTS = 4;

interface BlobFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Nothing is sent when the blob is there. AppError invalid_source when the file is not what its sha256 says. */
export async function uploadBlob(store: ObjectStore, file: BlobFile, options: UploadOptions = {}): Promise<void> {
  const key = blobKey(file.sha256);
  if ((await store.head(key))?.bytes === file.bytes) return;
  const partBytes = Math.max(options.partBytes ?? PART_BYTES, Math.ceil(file.bytes / MOST_PARTS));
  const handle = await open(file.path, 'r');
  try {
    if (file.bytes <= partBytes) await uploadWhole(store, key, handle, file);
    else await uploadParts(store, key, handle, file, partBytes);
  } finally {
    await handle.close();
  }
  const stored = await store.head(key);
  if (stored?.bytes !== file.bytes) {
    throw new AppError(
      'bucket_unavailable',
      `${store.where(key)} has ${stored?.bytes ?? 'no'} bytes after an upload of ${file.bytes}. Try again.`,
    );
  }
}

async function uploadWhole(store: ObjectStore, key: string, handle: FileHandle, file: BlobFile): Promise<void> {
  const content = await readAt(handle, 0, file.bytes, file);
  requireHash(createHash('sha256').update(content).digest('hex'), file);
  await store.use(key, (client, sdk, place) =>
    client.send(new sdk.PutObjectCommand({ ...place, Body: content, ChecksumSHA256: base64(file.sha256) })),
  );
}

/** Parts are read in order, so that the whole is hashed on the way, and sent a few at a time. */
async function uploadParts(
  store: ObjectStore,
  key: string,
  handle: FileHandle,
  file: BlobFile,
  partBytes: number,
): Promise<void> {
  const { UploadId } = await store.use(key, (client, sdk, place) =>
    client.send(new sdk.CreateMultipartUploadCommand({ ...place, ChecksumAlgorithm: 'SHA256' })),
  );
  const parts: CompletedPart[] = [];
  const whole = createHash('sha256');
  let inOrder: Promise<unknown> = Promise.resolve();
  async function readPart(index: number): Promise<Buffer> {
    const start = index * partBytes;
    const content = await readAt(handle, start, Math.min(partBytes, file.bytes - start), file);
    whole.update(content);
    return content;
  }
  try {
    await inParallel(Math.ceil(file.bytes / partBytes), PARALLEL_PARTS, async (index) => {
      const reading = inOrder.then(() => readPart(index));
      inOrder = reading.catch(() => undefined);
      const content = await reading;
      const PartNumber = index + 1;
      const ChecksumSHA256 = createHash('sha256').update(content).digest('base64');
      const { ETag } = await store.use(key, (client, sdk, place) =>
        client.send(new sdk.UploadPartCommand({ ...place, UploadId, PartNumber, ChecksumSHA256, Body: content })),
      );
      parts[index] = { PartNumber, ETag, ChecksumSHA256 };
    });
    requireHash(whole.digest('hex'), file);
    await store.use(key, (client, sdk, place) =>
      client.send(new sdk.CompleteMultipartUploadCommand({ ...place, UploadId, MultipartUpload: { Parts: parts } })),
    );
  } catch (error) {
    // What cannot be aborted now is aborted by a later collection; the first error is the one to tell.
    await store
      .use(key, (client, sdk, place) => client.send(new sdk.AbortMultipartUploadCommand({ ...place, UploadId })))
      .catch(() => undefined);
    throw error;
  }
}

async function readAt(handle: FileHandle, start: number, bytes: number, { path }: BlobFile): Promise<Buffer> {
  const content = Buffer.allocUnsafe(bytes);
  let filled = 0;
  while (filled < bytes) {
    const { bytesRead } = await handle.read(content, filled, bytes - filled, start + filled);
    if (bytesRead === 0) throw new AppError('invalid_source', `${path} has become shorter while it was published.`);
    filled += bytesRead;
  }
  return content;
}

function requireHash(found: string, { path, sha256 }: BlobFile): void {
  if (found === sha256) return;
  throw new AppError(
    'invalid_source',
    `${path} has the sha256 ${found}, not ${sha256}: it changed after it was hashed.`,
  );
}

function base64(hex: string): string {
  return Buffer.from(hex, 'hex').toString('base64');
}
