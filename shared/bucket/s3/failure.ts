/**
 * What goes wrong with S3, in words. Keeps the kind of a failure and drops the rest: the client's errors carry what the server sent,
 * and a server may repeat in it what it was sent.
 */
import { AppError } from '../../contracts/errors.ts';
import type { S3Address } from './address.ts';

/** The cause of an AppError: enough to look a failure up, nothing that is secret. */
export class S3Failure extends Error {
  readonly status: number | undefined;

  constructor(name: string, status: number | undefined) {
    super(status === undefined ? name : `${name}, HTTP ${status}`);
    this.name = name;
    this.status = status;
  }

  get isMissingKey(): boolean {
    return this.status === 404 && this.name !== 'NoSuchBucket' && this.name !== 'NoSuchUpload';
  }
}

/** Of an error of the client; undefined where there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const metadata = error.$metadata;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** `key`: what was asked for. What is not the client's error is given back as it is. */
export function inWords(error: unknown, key: string, { bucket, location }: S3Address): unknown {
  if (error instanceof AppError || (error instanceof Error && error.name === 'AbortError')) return error;
  const failure = new S3Failure(nameOf(error), statusOf(error));
  const { name, status } = failure;
  const say = (code: AppError['code'], message: string) => new AppError(code, message, { cause: failure });
  if (name === 'NoSuchBucket') {
    return say('not_found', `There is no S3 bucket ${bucket} for ${location}. Make it, or correct the address.`);
  }
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return say(
      'unauthorized',
      `No credentials were found for ${location}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.`,
    );
  }
  if (status === 401 || status === 403) {
    return say('unauthorized', `${location} refuses ${key} (${name}). Check the credentials and their rights.`);
  }
  if (status === 404) return say('not_found', `There is no ${key} in ${location}.`);
  return say('bucket_unavailable', `${location} failed at ${key} (${failure.message}). Try again.`);
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'Error';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
