/**
 * The few things a bucket asks of S3, by keys below its prefix, with failures said in words. Loads the AWS client when the first of
 * them is asked for. Knows nothing of versions.
 */
import { addAbortSignal, Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../contracts/errors.ts';
import type { S3Address } from './address.ts';
import { inWords, S3Failure, statusOf } from './failure.ts';

type Sdk = typeof import('@aws-sdk/client-s3');

export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  /** By the server's clock. */
  readonly modified: Date;
}

export interface ObjectStore {
  readonly location: string;
  where(key: string): string;
  /** Runs `work` with the client; what goes wrong becomes an AppError. `key` is for the message, and relative. */
  use<T>(
    key: string,
    work: (client: S3Client, sdk: Sdk, place: { Bucket: string; Key: string }) => Promise<T>,
  ): Promise<T>;
  /** Undefined: there is none. */
  head(key: string): Promise<StoredObject | undefined>;
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Names directly below a prefix that ends with a slash; those of folders end with one too. */
  names(folder: string): Promise<string[]>;
  text(key: string): Promise<string | undefined>;
  /** Bytes `start` to `end` (excluded). AppError not_found. */
  bytes(key: string, start: number, end: number, signal?: AbortSignal): Promise<Readable>;
  put(key: string, text: string): Promise<void>;
  /** False: there is one already. */
  putIfAbsent(key: string, text: string): Promise<boolean>;
  /** Nothing happens where there is none. */
  remove(keys: readonly string[], signal?: AbortSignal): Promise<void>;
}

export interface StoreOptions {
  /** Of each request; default: the client's own, or AWS_MAX_ATTEMPTS. */
  readonly maxAttempts?: number | undefined;
}

const REMOVED_AT_ONCE = 1000;
const CONFLICTS = 5;

export function openObjectStore(address: S3Address, { maxAttempts }: StoreOptions = {}): ObjectStore {
  let connection: Promise<{ readonly client: S3Client; readonly sdk: Sdk }> | undefined;
  const connect = () => {
    connection ??= import('@aws-sdk/client-s3').then((sdk) => ({ sdk, client: makeClient(sdk, address, maxAttempts) }));
    return connection;
  };
  const where = (key: string) => `${key} in ${address.location}`;

  const use: ObjectStore['use'] = async (key, work) => {
    const { client, sdk } = await connect();
    try {
      return await work(client, sdk, { Bucket: address.bucket, Key: address.prefix + key });
    } catch (error) {
      throw inWords(error, key, address);
    }
  };

  return {
    location: address.location,
    where,
    use,
    head: (key) =>
      orUndefined(
        use(key, async (client, sdk, place) => {
          const found = await client.send(new sdk.HeadObjectCommand(place));
          return { key, bytes: found.ContentLength ?? 0, modified: found.LastModified ?? new Date(0) };
        }),
      ),
    async *list(prefix) {
      let ContinuationToken: string | undefined;
      do {
        const page = await use(prefix, (client, sdk, { Bucket, Key }) =>
          client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: Key, ContinuationToken })),
        );
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          if (Key === undefined) continue;
          yield { key: Key.slice(address.prefix.length), bytes: Size ?? 0, modified: LastModified ?? new Date(0) };
        }
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined && ContinuationToken !== '');
    },
    async names(folder) {
      const names: string[] = [];
      const start = address.prefix.length + folder.length;
      let ContinuationToken: string | undefined;
      do {
        const page = await use(folder, (client, sdk, { Bucket, Key }) =>
          client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: Key, Delimiter: '/', ContinuationToken })),
        );
        for (const { Prefix } of page.CommonPrefixes ?? []) names.push(Prefix?.slice(start) ?? '');
        for (const { Key } of page.Contents ?? []) names.push(Key?.slice(start) ?? '');
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined && ContinuationToken !== '');
      return names.filter((name) => name !== '');
    },
    text: (key) =>
      orUndefined(
        use(key, async (client, sdk, place) => {
          const { Body } = await client.send(new sdk.GetObjectCommand(place));
          return (await Body?.transformToString('utf8')) ?? '';
        }),
      ),
    bytes: (key, start, end, signal) =>
      use(key, async (client, sdk, place) => {
        const { Body } = await client.send(
          new sdk.GetObjectCommand({ ...place, Range: `bytes=${start}-${end - 1}` }),
          signal === undefined ? {} : { abortSignal: signal },
        );
        if (!(Body instanceof Readable)) throw new Error('the client gave no stream');
        return signal === undefined ? Body : addAbortSignal(signal, Body);
      }),
    put: (key, text) =>
      use(key, async (client, sdk, place) => {
        await client.send(new sdk.PutObjectCommand({ ...place, Body: text, ContentType: 'application/json' }));
      }),
    putIfAbsent: (key, text) =>
      use(key, async (client, sdk, place) => {
        const put = new sdk.PutObjectCommand({
          ...place,
          Body: text,
          ContentType: 'application/json',
          IfNoneMatch: '*',
        });
        for (let attempt = 1; ; attempt++) {
          try {
            await client.send(put);
            return true;
          } catch (error) {
            if (statusOf(error) === 412) return false;
            // Two were at it in the same moment, and it is not yet known which succeeds.
            if (statusOf(error) !== 409 || attempt === CONFLICTS) throw error;
            await pause(100 * attempt);
          }
        }
      }),
    async remove(keys, signal) {
      for (let from = 0; from < keys.length; from += REMOVED_AT_ONCE) {
        await use(keys[from] ?? '', async (client, sdk, { Bucket }) => {
          const Objects = keys.slice(from, from + REMOVED_AT_ONCE).map((key) => ({ Key: address.prefix + key }));
          const { Errors } = await client.send(
            new sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true }, ChecksumAlgorithm: 'SHA256' }),
            signal === undefined ? {} : { abortSignal: signal },
          );
          const first = Errors?.[0];
          if (first) throw new Error(`${first.Code}: ${first.Message}`);
        });
      }
    },
  };
}

function makeClient(sdk: Sdk, { endpoint, region }: S3Address, maxAttempts: number | undefined): S3Client {
  return new sdk.S3Client({
    region,
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
    ...(maxAttempts === undefined ? {} : { maxAttempts }),
    // What is stored is checked by our own sha256; the client's checksums would be computed once more, in JavaScript.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestChecksumCalculation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000, socketTimeout: 60_000 },
  });
}

async function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (
      error instanceof AppError &&
      error.code === 'not_found' &&
      error.cause instanceof S3Failure &&
      error.cause.isMissingKey
    )
      return undefined;
    throw error;
  }
}
