/**
 * From a bucket's address to a bucket. Knows which kinds of address there are, not how a bucket works.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppError } from '../contracts/errors.ts';
import { isUrl } from '../lib/is-url.ts';
import type { Bucket } from './bucket.ts';
import { openFolderBucket } from './folder.ts';
import { openS3Bucket } from './s3.ts';

/** A folder's path (`~/` is the home folder), a file:// or an s3:// URL. Throws AppError invalid_field for anything else. */
export function openBucket(address: string): Bucket {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(address)?.[1]?.toLowerCase();
  if (scheme === 'file') return openFolderBucket(pathOf(address));
  if (scheme === 's3') return openS3Bucket(address);
  if (scheme !== undefined) {
    throw new AppError(
      'invalid_field',
      `${scheme}:// is no kind of bucket. Set BUCKET_URL to a folder, a file:// or an s3:// URL.`,
    );
  }
  if (address.trim() === '') throw new AppError('invalid_field', 'BUCKET_URL is empty. Set it to a folder.');
  return openFolderBucket(address.startsWith('~/') ? join(homedir(), address.slice(2)) : address);
}

/** The same bucket, wherever the address is read from. */
export function absoluteAddress(address: string): string {
  return isUrl(address) ? address : resolve(address);
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url);
  } catch (error) {
    throw new AppError('invalid_field', `${url} is no file URL of this machine. Write file:///path/to/folder.`, {
      cause: error,
    });
  }
}
