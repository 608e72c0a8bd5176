/**
 * The base of a training as a Hugging Face folder, which is what a kernel reads: as it is, exported into a cache once, or, for a version
 * that was trained here, the folder it was made of. Says what it was, for the lineage.
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { checkSource } from '@slipway/converter/check-source';
import { exportCheckpoint } from '@slipway/converter/export';
import { sha256Of } from '@slipway/shared/bucket/durable-files.ts';
import { openBucket } from '@slipway/shared/bucket/open-bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Lineage } from '@slipway/shared/contracts/manifest.ts';

export interface BaseModel {
  readonly folder: string;
  readonly lineage: Required<Pick<Lineage, 'parent' | 'parent_files'>>;
}

export interface BaseRequest {
  /** A path, or NAME@v001. */
  readonly base: string;
  readonly bucketUrl: string;
  /** Where exports are kept. */
  readonly cacheFolder: string;
  /** The trained model of a run, while its folder is there. */
  readonly modelOfRun: (id: string) => Promise<string | undefined>;
  readonly signal: AbortSignal;
  readonly onProgress: (part: number) => void;
}

/** AppError not_found, invalid_source, unsupported_source: what the base is or lacks, and what to give instead. */
export async function findBaseModel(request: BaseRequest): Promise<BaseModel> {
  const at = await stat(request.base).catch(() => undefined);
  if (at === undefined) return modelOfVersion(request);
  const label = basename(request.base);
  if (at.isDirectory() && (await isWhole(request.base)))
    return { folder: request.base, lineage: await lineageOf(request.base, label) };
  const parent_files = at.isDirectory()
    ? [...(await checkSource(request.base))]
    : [{ name: label, bytes: at.size, sha256: await sha256Of(request.base) }];
  const made = `1 ${parent_files.map(({ sha256 }) => sha256).join(' ')}`;
  const folder = join(request.cacheFolder, createHash('sha256').update(made).digest('hex').slice(0, 32));
  const isThere = (await stat(folder).catch(() => undefined)) !== undefined;
  if (!isThere) await exportBase(request, folder);
  return { folder, lineage: { parent: label, parent_files } };
}

/** What a kernel reads as it is; an adapter's folder is not, nor Meta's own. */
async function isWhole(folder: string): Promise<boolean> {
  const names = await readdir(folder);
  return names.includes('config.json') && !names.includes('adapter_config.json');
}

async function exportBase({ base, cacheFolder, signal, onProgress }: BaseRequest, folder: string): Promise<void> {
  await mkdir(cacheFolder, { recursive: true });
  const onPhase = (phase: string, part: number) => {
    signal.throwIfAborted();
    onProgress(phase === 'writing' ? part : 0);
  };
  await exportCheckpoint({ source: base, target: 'safetensors', precision: 'auto', out: folder, onProgress: onPhase });
}

/** A version's graphs cannot be trained; the folder they were made of can. */
async function modelOfVersion({ base, bucketUrl, modelOfRun }: BaseRequest): Promise<BaseModel> {
  const manifest = await openBucket(bucketUrl).resolve(base);
  const { run } = manifest.lineage ?? {};
  const folder = run === undefined ? undefined : await modelOfRun(run);
  if (folder !== undefined) return { folder, lineage: await lineageOf(folder, `${manifest.name}@${manifest.version}`) };
  throw new AppError(
    'unsupported_source',
    run === undefined
      ? `model.base: ${base} was converted for serving, which cannot be trained. Give the folder or file it was made of (${manifest.source.label}).`
      : `model.base: ${base} is what ${run} trained, whose weights are not in this DATA_FOLDER: it is another one's, or they were removed to make room. Give a folder of weights instead.`,
  );
}

/** A base that could not be published in the end is refused before anything is trained on it. */
async function lineageOf(folder: string, parent: string): Promise<BaseModel['lineage']> {
  const parent_files = (await checkSource(folder))
    .filter(({ name }) => /^(config\.json|.*\.safetensors|.*\.bin)$/.test(name))
    .toSorted((one, other) => (one.name < other.name ? -1 : 1));
  return { parent, parent_files };
}
