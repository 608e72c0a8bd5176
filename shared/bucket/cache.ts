/**
 * A user's local copies of blobs from elsewhere, and the folders made from them, shared by all buckets and processes, within a size.
 * Everything in it can be made again. Knows not where blobs come from.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Manifest } from '../contracts/manifest.ts';
import { chooseEvictions } from './choose-evictions.ts';
import { linkOrCopy, sha256Of, syncToDisk, tellDiskFull } from './durable-files.ts';
import { inParallel } from './in-parallel.ts';
import { blobKey } from './keys.ts';
import { linkVersion, stillVerified, Verified } from './materialize.ts';
import { bootId } from './owner.ts';
import { openPartials } from './partials.ts';
import { listBlobs, type StagingArea, stagingArea } from './staging-area.ts';
import { openUses } from './uses.ts';

type VersionFile = Manifest['files'][number];

export interface Cache {
  readonly root: string;
  /** For building versions: on the filesystem of the cache, so that what is published is in it without being copied. */
  readonly staging: StagingArea;
  /** `fetch` makes a file whole and right, and goes on with what is there already. */
  materialize(manifest: Manifest, fetch: Fetch): Promise<string>;
  release(manifest: Manifest): Promise<void>;
  /** Keeps files as copies of blobs. */
  adopt(files: readonly { readonly path: string; readonly sha256: string }[]): Promise<void>;
}

export type Fetch = (file: VersionFile, target: string) => Promise<void>;

export interface CacheOptions {
  readonly root: string;
  /** Tells versions of one name in different buckets apart. */
  readonly bucket: string;
  /** What is used by nobody goes, longest unused first, when there is more than this. */
  readonly limitBytes: number;
}

const FILES_AT_ONCE = 4;

/** What a process marks as used. */
const Use = z.object({ place: z.string(), sha256: z.array(z.string()) });
type Use = z.infer<typeof Use>;

export function openCache({ root, bucket, limitBytes }: CacheOptions): Cache {
  const staging = stagingArea(root, async () => new Set<string>());
  const boot = bootId();
  const uses = openUses(join(root, 'uses'));
  const versionsFolder = join(root, 'materialized');
  const partials = openPartials(join(root, 'downloads'));
  const bucketFolder = createHash('sha256').update(bucket).digest('hex').slice(0, 16);
  const copyOf = (sha256: string) => join(root, blobKey(sha256));
  const useOf = ({ name, version, files }: Manifest): Use => ({
    place: join(bucketFolder, name, version),
    sha256: files.map(({ sha256 }) => sha256),
  });
  /** Place -> what this process does about it, one after the other. */
  const making = new Map<string, Promise<string>>();

  async function materialize(manifest: Manifest, fetch: Fetch): Promise<string> {
    const use = useOf(manifest);
    await uses.begin(JSON.stringify(use));
    try {
      const target = join(versionsFolder, use.place);
      if (!(await stillVerified(target, manifest))) {
        await tellDiskFull(root, async () => {
          const verified = await haveBlobs(manifest, fetch);
          await linkVersion(root, target, staging, manifest, boot === '' ? { verified } : { verified, boot });
        });
      }
      const now = new Date();
      await utimes(target, now, now);
      return join(target, 'files');
    } catch (error) {
      await uses.end(JSON.stringify(use));
      throw error;
    }
  }

  /** Afterwards all blobs are there and right. */
  async function haveBlobs(manifest: Manifest, fetch: Fetch): Promise<Set<string>> {
    const files = [...new Map(manifest.files.map((file) => [file.sha256, file])).values()];
    const missing: VersionFile[] = [];
    for (const file of files) if (!(await hasBlob(file))) missing.push(file);
    if (missing.length > 0) await makeRoom(missing.reduce((sum, { bytes }) => sum + bytes, 0));
    await inParallel(missing.length, FILES_AT_ONCE, async (index) => {
      const file = missing[index];
      if (file) await fetchBlob(file, fetch);
    });
    return new Set(files.map(({ sha256 }) => sha256));
  }

  async function hasBlob({ sha256, bytes }: VersionFile): Promise<boolean> {
    const copy = copyOf(sha256);
    const found = await stat(copy).catch(() => undefined);
    if (found === undefined) return false;
    if (found.size === bytes && (await sha256Of(copy)) === sha256) return true;
    await rm(copy, { force: true });
    return false;
  }

  async function fetchBlob(file: VersionFile, fetch: Fetch): Promise<void> {
    const partial = await partials.take(file.sha256);
    try {
      await fetch(file, partial.path);
      await chmod(partial.path, 0o444);
      // After a power cut a file may have its size and time and hold nothing. Where starts of the machine cannot be told apart it is
      // forced onto the disk, which takes longer than the download; elsewhere the next start looks at it again.
      if (boot === '') await syncToDisk(partial.path);
      await mkdir(dirname(copyOf(file.sha256)), { recursive: true });
      await rename(partial.path, copyOf(file.sha256));
    } finally {
      partial.leave();
    }
  }

  async function makeRoom(needed: number): Promise<void> {
    const room = limitBytes - needed - (await partials.bytes());
    if ((await listBlobs(root)).reduce((sum, { bytes }) => sum + bytes, 0) <= room) return;
    await uses.whileFreeing(async (inUse) => {
      const used = [...inUse].map((text) => Use.parse(JSON.parse(text)));
      const usedFolders = new Set(used.map(({ place }) => place));
      const versions = await listVersions();
      const evictions = chooseEvictions({
        blobs: await listBlobs(root),
        versions: versions.map((version) => ({ ...version, inUse: usedFolders.has(version.place) })),
        neededBlobs: new Set(used.flatMap(({ sha256 }) => sha256)),
        room,
      });
      for (const { place } of evictions.versions)
        await rm(join(versionsFolder, place), { recursive: true, force: true });
      for (const { sha256 } of evictions.blobs) await rm(copyOf(sha256), { force: true });
    });
  }

  async function listVersions() {
    const found: { place: string; lastUsed: number; sha256: string[] }[] = [];
    const below = (folder: string) => readdir(join(versionsFolder, folder)).catch(() => []);
    for (const id of await below('')) {
      for (const name of await below(id)) {
        for (const version of await below(join(id, name))) {
          const place = join(id, name, version);
          const { mtimeMs } = await stat(join(versionsFolder, place)).catch(() => ({ mtimeMs: 0 }));
          const text = await readFile(join(versionsFolder, place, 'verified.json'), 'utf8').catch(() => '{}');
          const files = Verified.safeParse(JSON.parse(text));
          found.push({
            place,
            lastUsed: mtimeMs,
            sha256: files.success ? files.data.files.map(({ sha256 }) => sha256) : [],
          });
        }
      }
    }
    return found;
  }

  return {
    root,
    staging,
    materialize(manifest, fetch) {
      const { place } = useOf(manifest);
      const made = (making.get(place) ?? Promise.resolve(''))
        .catch(() => undefined)
        .then(() => materialize(manifest, fetch));
      making.set(place, made);
      return made;
    },
    release: (manifest) => uses.end(JSON.stringify(useOf(manifest))),
    async adopt(files) {
      for (const { path, sha256 } of files) await linkOrCopy(path, copyOf(sha256));
      await makeRoom(0);
    },
  };
}
