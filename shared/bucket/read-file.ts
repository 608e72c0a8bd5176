/**
 * One file of a version as a stream: which bytes are asked for, and, when that is all of them, whether they are what was published.
 * Knows not where blobs are kept.
 */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { AppError } from '../contracts/errors.ts';
import type { Manifest } from '../contracts/manifest.ts';
import type { ByteRange } from './bucket.ts';
import { labelOf } from './keys.ts';

type VersionFile = Manifest['files'][number];

/** `open` gives at least one byte: `start` included, `end` excluded. AppError not_found for a path, invalid_field for a range. */
export async function readFileOf(
  manifest: Manifest,
  path: string,
  { start = 0, end }: ByteRange = {},
  open: (file: VersionFile, range: Required<ByteRange>) => Promise<AsyncIterable<Uint8Array>>,
): Promise<Readable> {
  const file = manifest.files.find((candidate) => candidate.path === path);
  if (file === undefined) {
    const there = manifest.files.map((candidate) => candidate.path).join(', ');
    throw new AppError('not_found', `${labelOf(manifest)} has no file ${JSON.stringify(path)}; it has ${there}.`);
  }
  const last = end ?? file.bytes;
  if (![start, last].every(Number.isInteger) || start < 0 || start > last || last > file.bytes) {
    throw new AppError(
      'invalid_field',
      `${path} of ${labelOf(manifest)} has ${file.bytes} bytes; bytes ${start} to ${last} are not in it.`,
    );
  }
  if (start === last) return Readable.from([], { objectMode: false });
  const bytes = await open(file, { start, end: last });
  const whole = start === 0 && last === file.bytes;
  return Readable.from(whole ? verified(bytes, file, manifest) : bytes, { objectMode: false });
}

async function* verified(bytes: AsyncIterable<Uint8Array>, file: VersionFile, manifest: Manifest) {
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== file.sha256) throw damaged(manifest, file.path, 'its bytes are not those published');
}

export function damaged(manifest: Manifest, path: string, what: string): AppError {
  return new AppError(
    'internal',
    `${labelOf(manifest)} is damaged: ${path}: ${what}. Convert the model again, or restore the bucket.`,
  );
}
