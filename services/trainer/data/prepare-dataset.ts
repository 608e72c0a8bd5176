/**
 * From data files to the folder a kernel trains on: read, cleaned, split, looked at, encoded, and put in place whole. Owns the order and
 * that the same input makes the same bytes. Knows no recipe file and no kernel.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorCode } from '@slipway/shared/bucket/durable-files.ts';
import { isDead, newOwnedName } from '@slipway/shared/bucket/owner.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { collectSides } from './collect/collect-sides.ts';
import { findFiles, findTrained } from './collect/find-files.ts';
import type { FindOptions, FoundFile } from './collect/found-file.ts';
import { Rejections } from './collect/rejections.ts';
import type { Dataset } from './dataset-file.ts';
import { encodeSides } from './encode/encode-sides.ts';
import { HashedFile } from './hashed-file.ts';
import { type PreflightLimits, preflight, requireEnds } from './preflight.ts';
import { findPreparation, PREPARATION_FILE, type Preparation } from './preparation.ts';
import type { Phase, PrepareRequest } from './prepare-request.ts';
import { CHUNK_BYTES } from './readers/reading.ts';
import { openTextSide } from './text-side.ts';
import { verifySamples } from './verify-samples.ts';

export interface Prepared {
  readonly train: string;
  /** Null when nothing is held out. */
  readonly validation: string | null;
  readonly preparation: Preparation;
  /** Nothing had changed since it was prepared. */
  readonly isReused: boolean;
}

/** Changes whenever the same input would make other bytes. */
const MADE_BY = 1;
const PARTIAL = '.partial-';

/**
 * AppError not_found, invalid_source or invalid_field: which data is wrong, where, and what to set; already_exists: the folder is something
 * else. Then it is as it was.
 */
export async function prepareDataset(request: PrepareRequest): Promise<Prepared> {
  const { data, folder, text } = request;
  const side = openTextSide(text, data.template);
  const limits = limitsOf(request);
  const train = await findTrained(data.train, findOptions(request));
  const { validation: heldOut } = data;
  const share = typeof heldOut === 'number' ? heldOut : 0;
  const validation =
    heldOut === null || typeof heldOut === 'number' ? [] : await findFiles([heldOut].flat(), findOptions(request));
  const files = await hashFiles([...validation, ...train], request);
  const fingerprint = sha256(JSON.stringify([MADE_BY, data, request.seed, text, limits, files]));
  const known = await findPreparation(folder, fingerprint);
  if (known) return preparedIn(folder, known, true);
  await requireOwnFolder(folder);

  await removeLeftovers(folder);
  const partial = `${folder}${PARTIAL}${newOwnedName()}`;
  await mkdir(partial, { recursive: true });
  const rejections = new Rejections(await HashedFile.create(join(partial, 'rejected.jsonl')));
  try {
    const collected = await collectSides({
      train,
      validation,
      rejections,
      share,
      folder: partial,
      options: { format: data.format, columns: data.columns, seed: request.seed, signal: request.signal },
      deduplicate: data.deduplicate,
      augment: data.augment,
      mixed: data.mixed,
      onBytes: meter(request, 'reading', files),
    });
    const looked = preflight(
      collected.sample.map(({ json }) => json),
      side,
      limits,
    );
    const source: Dataset['source'] = {
      format: collected.format,
      template: data.template,
      template_sha256: side.chatTemplate === null ? null : sha256(side.chatTemplate),
      tokenizer_sha256: sha256(JSON.stringify([text.tokenizerJson, text.tokenizerConfig])),
      seed: request.seed,
      files,
    };
    const encoded = await encodeSides(collected, { rejections, folder: partial, source, limits, request, text: side });
    requireEnds(encoded.endless, encoded.lengths.length, side);
    await rejections.close();
    const preparation: Preparation = {
      schema: 1,
      fingerprint,
      kind: collected.kind,
      format: collected.format,
      files: collected.reports.map(({ formats, unknownFields: _, firstRejected: __, ...report }) => ({
        ...report,
        formats: Object.fromEntries([...formats].map(([name, { count }]) => [name, count])),
      })),
      multiplied: collected.multiplied,
      rejected: rejections.count,
      reasons: rejections.reasons(),
      unknown_characters: encoded.unknown,
      lengths: encoded.summary,
      suggested_max_length: looked.suggestedMaxLength,
      stop_ids: [...side.stopIds],
      chat_template: side.chatTemplate,
      verify: verifySamples(looked.encoded),
      train: encoded.train,
      validation: encoded.validation,
    };
    await writeFile(join(partial, PREPARATION_FILE), `${JSON.stringify(preparation)}\n`);
    await putInPlace(partial, folder);
    return preparedIn(folder, preparation, false);
  } catch (error) {
    await rejections.abandon();
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}

function limitsOf({ data, contextLength, vocabularySize }: PrepareRequest): PreflightLimits {
  if (data.max_length !== 'auto' && data.max_length > contextLength) {
    throw new AppError(
      'invalid_field',
      `data.max_length is ${data.max_length}, and the model takes ${contextLength} tokens at most`,
    );
  }
  return { maxLength: data.max_length, truncated: data.truncated, contextLength, vocabularySize };
}

function findOptions({ cacheFolder, signal, onProgress }: PrepareRequest): FindOptions {
  return {
    cacheFolder,
    signal,
    onDownload: (bytes, totalBytes) =>
      onProgress?.('downloading', totalBytes ? bytes / totalBytes : 0, {
        bytes,
        ...(totalBytes === undefined ? {} : { totalBytes }),
      }),
  };
}

async function hashFiles(files: readonly FoundFile[], request: PrepareRequest): Promise<Dataset['source']['files']> {
  const onBytes = meter(request, 'hashing', files);
  const hashed = [];
  for (const { path, name, bytes } of files) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      request.signal?.throwIfAborted();
      hash.update(chunk);
      onBytes(chunk.length);
    }
    hashed.push({ name, bytes, sha256: hash.digest('hex') });
  }
  return hashed;
}

/** Adds up bytes and tells how far a phase is. */
function meter(
  { onProgress }: PrepareRequest,
  phase: Phase,
  parts: readonly { readonly bytes: number }[],
): (bytes: number) => void {
  const totalBytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  return (bytes) => {
    done += bytes;
    onProgress?.(phase, totalBytes === 0 ? 1 : Math.min(1, done / totalBytes), { bytes: done, totalBytes });
  };
}

/** AppError already_exists: something else than a preparation is there, which would be lost. */
async function requireOwnFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    if (errorCode(error) === 'ENOTDIR') return [basename(folder)];
    throw error;
  });
  if (names.length === 0 || names.includes(PREPARATION_FILE)) return;
  throw new AppError(
    'already_exists',
    `${folder} holds something else (${names.slice(0, 3).join(', ')}${names.length > 3 ? ' ...' : ''}), which would be lost: name another folder`,
  );
}

/** What processes that died under a preparation of this folder have left. */
async function removeLeftovers(folder: string): Promise<void> {
  const prefix = `${basename(folder)}${PARTIAL}`;
  const names = await readdir(dirname(folder)).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(prefix))) {
    const path = join(dirname(folder), name);
    const at = await stat(path).catch(() => undefined);
    if (at && isDead(name.slice(prefix.length), at.mtimeMs, Date.now()))
      await rm(path, { recursive: true, force: true });
  }
}

async function putInPlace(partial: string, folder: string): Promise<void> {
  for (const side of ['train', 'validation']) await rm(join(partial, `canonical.${side}`), { force: true });
  await mkdir(dirname(folder), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
}

function preparedIn(folder: string, preparation: Preparation, isReused: boolean): Prepared {
  return {
    train: join(folder, 'train'),
    validation: preparation.validation === null ? null : join(folder, 'validation'),
    preparation,
    isReused,
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
