/**
 * A bucket on S3, or on anything that speaks like it: blobs by sha256, manifests and journals by conditional writes, built in and read
 * through a local cache. Nothing is visible before it is whole. Knows nothing of what the files mean.
 */
import { join, resolve } from 'node:path';
import { AppError } from '../contracts/errors.ts';
import { Manifest } from '../contracts/manifest.ts';
import type { Bucket, DraftManifest, FileSet, Staging } from './bucket.ts';
import { openCache } from './cache.ts';
import { openCatalogue } from './catalogue.ts';
import { type DownloadOptions, download, streamRange } from './download.ts';
import { tellDiskFull } from './durable-files.ts';
import { fetchInto, openFileSets, type SetFile } from './file-sets.ts';
import { inParallel } from './in-parallel.ts';
import { blobKey, checkFileSetName, checkModelName } from './keys.ts';
import { cacheFolder } from './materialize.ts';
import { readFileOf } from './read-file.ts';
import { parseS3Address } from './s3/address.ts';
import { collect } from './s3/collect.ts';
import { LEASE_TIMES, type LeaseTimes, takeLease } from './s3/leases.ts';
import { openObjectStore, type StoreOptions } from './s3/object-store.ts';
import { s3Records } from './s3/records.ts';
import { type UploadOptions, uploadBlob } from './s3/upload.ts';
import { describeFiles, describeStaged } from './staged-files.ts';
import type { PrivateFolder } from './staging-area.ts';

const GIB = 2 ** 30;
const CACHE_GIB = 50;
const FILES_AT_ONCE = 4;

export interface S3BucketOptions extends StoreOptions {
  /** AWS_*, SLIPWAY_CACHE_DIR and SLIPWAY_CACHE_GIB. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly upload?: UploadOptions;
  readonly download?: DownloadOptions;
  readonly times?: LeaseTimes;
}

/** Sends nothing until something is asked. AppError invalid_field when the address or the environment is wrong. */
export function openS3Bucket(url: string, options: S3BucketOptions = {}): Bucket {
  const environment = options.environment ?? process.env;
  const times = options.times ?? LEASE_TIMES;
  const address = parseS3Address(url, environment);
  const store = openObjectStore(address, options);
  const records = s3Records(store);
  const catalogue = openCatalogue(records, address.location);
  const sets = openFileSets(records, address.location);
  const cache = openCache({
    root: resolve(cacheFolder(environment)),
    bucket: address.location,
    limitBytes: cacheLimit(environment.SLIPWAY_CACHE_GIB),
  });

  async function stage(name: string): Promise<Staging> {
    checkModelName(name);
    const place = await tellDiskFull(cache.root, () => cache.staging.open());
    return {
      folder: join(place.path, 'files'),
      publish: async (draft, hashes) => {
        try {
          return await publish(place, name, draft, hashes ?? new Map());
        } finally {
          await place.remove('published').catch(() => undefined);
        }
      },
      discard: () => place.remove('published'),
    };
  }

  async function publish(
    place: PrivateFolder,
    name: string,
    draft: DraftManifest,
    hashes: ReadonlyMap<string, string>,
  ): Promise<Manifest> {
    const folder = join(place.path, 'files');
    const files = await describeStaged(folder, name, draft, hashes);
    const complete = (version: string) =>
      Manifest.parse({ ...draft, version, created_at: new Date().toISOString(), files });
    const blobs = blobFiles(folder, files);
    const same = await catalogue.same(name, complete);
    if (same !== undefined && (await allThere(blobs))) return same;
    const manifest = await show(blobs, () => catalogue.publish(name, complete));
    // A copy that cannot be kept is fetched when it is wanted.
    await cache.adopt(blobs).catch(() => undefined);
    return manifest;
  }

  async function putFiles(name: string, folder: string, hashes: ReadonlyMap<string, string>): Promise<FileSet> {
    checkFileSetName(name);
    const files = await describeFiles(folder, hashes);
    const blobs = blobFiles(folder, files);
    const same = await sets.same(name, files);
    if (same !== undefined && (await allThere(blobs))) return same;
    return show(blobs, () => sets.create(name, files));
  }

  /** Blobs first, then the record that names them: until then nobody can see any of it. */
  async function show<T>(blobs: readonly SetFile[], createRecord: () => Promise<T>): Promise<T> {
    const lease = takeLease(
      store,
      blobs.map(({ sha256 }) => sha256),
      times,
    );
    const haveBlobs = () =>
      lease.whileSafe(() =>
        inParallel(blobs.length, FILES_AT_ONCE, async (index) => {
          const blob = blobs[index];
          if (blob) await uploadBlob(store, blob, options.upload);
        }),
      );
    try {
      await haveBlobs();
      const shown = await createRecord();
      if (!lease.isSafe()) await haveBlobs();
      return shown;
    } finally {
      await lease.end();
    }
  }

  async function allThere(blobs: readonly { readonly sha256: string; readonly bytes: number }[]): Promise<boolean> {
    const found = await Promise.all(blobs.map(({ sha256 }) => store.head(blobKey(sha256))));
    return blobs.every(({ bytes }, index) => found[index]?.bytes === bytes);
  }

  const sourceOf = ({ sha256, bytes }: { readonly sha256: string; readonly bytes: number }) => ({
    sha256,
    bytes,
    where: store.where(blobKey(sha256)),
    read: (start: number, end: number, signal: AbortSignal) => store.bytes(blobKey(sha256), start, end, signal),
  });

  return {
    ...catalogue,
    location: address.location,
    stage,
    materialize: (manifest) =>
      cache.materialize(manifest, (file, target) => download(sourceOf(file), target, options.download)),
    release: cache.release,
    read: (manifest, path, range) =>
      readFileOf(manifest, path, range, async (file, { start, end }) => streamRange(sourceOf(file), start, end)),
    putFiles: (name, folder, hashes) => putFiles(name, folder, hashes ?? new Map()),
    fileSets: sets.list,
    async fetchFiles(name, folder) {
      const set = await sets.require(name);
      await fetchInto(folder, set, (file, path) => download(sourceOf(file), path, options.download));
      return set;
    },
    contents: async () => ({ manifests: await catalogue.allManifests(), fileSets: await sets.all() }),
    removeFiles: sets.remove,
    collect: (wanted) => collect(store, catalogue, sets, times, wanted),
  };
}

/** Each content once; paths on this machine. */
function blobFiles(folder: string, files: readonly SetFile[]): SetFile[] {
  return [...new Map(files.map((file) => [file.sha256, { ...file, path: join(folder, file.path) }])).values()];
}

function cacheLimit(gib: string | undefined): number {
  const limit = gib === undefined || gib === '' ? CACHE_GIB : Number(gib);
  if (limit >= 0) return limit * GIB;
  throw new AppError('invalid_field', `SLIPWAY_CACHE_GIB must be a number from 0, but is ${JSON.stringify(gib)}.`);
}
