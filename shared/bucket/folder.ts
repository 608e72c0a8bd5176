/**
 * A bucket in a folder: blobs by sha256, manifests by name and version, and, made from them on demand, folders of hard links
 * that a runtime can open. Every name appears at once with its whole content. Knows nothing of what the files mean.
 */
import { createReadStream } from 'node:fs';
import { chmod, constants, copyFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../contracts/errors.ts';
import { Manifest } from '../contracts/manifest.ts';
import type { Bucket, Collected, CollectOptions, DraftManifest, FileSet, Staging } from './bucket.ts';
import { openCatalogue } from './catalogue.ts';
import { errorCode, linkOrCopy, listFiles, sha256Of, syncToDisk, tellDiskFull, writeDurably } from './durable-files.ts';
import { fetchInto, openFileSets, type SetFile } from './file-sets.ts';
import { blobKey, blobsOf, checkFileSetName, checkModelName, GRACE_MS, labelOf } from './keys.ts';
import { isReadOnly, materializer } from './materialize.ts';
import { readFileOf } from './read-file.ts';
import { folderRecords } from './records.ts';
import { describeFiles, describeStaged } from './staged-files.ts';
import { listBlobs, type PrivateFolder, stagingArea } from './staging-area.ts';
import { openUses } from './uses.ts';

/** Nothing is written until something is staged, changed or materialized. */
export function openFolderBucket(path: string): Bucket {
  const root = resolve(path);
  const staging = stagingArea(root, async () => blobsOf([...(await catalogue.allManifests()), ...(await sets.all())]));
  const records = folderRecords(root, staging);
  const catalogue = openCatalogue(records, root);
  const sets = openFileSets(records, root);
  // No model's name begins with a dot.
  const uses = openUses(join(root, 'materialized', '.uses'));
  const materialize = materializer(root, staging);

  async function stage(name: string): Promise<Staging> {
    checkModelName(name);
    const place = await tellDiskFull(root, () => staging.open());
    return {
      folder: join(place.path, 'files'),
      publish: (draft, hashes) => finish(place, () => publish(place, name, draft, hashes ?? new Map())),
      discard: () => place.remove('abandoned'),
    };
  }

  async function finish<T>(place: PrivateFolder, work: () => Promise<T>): Promise<T> {
    try {
      const done = await tellDiskFull(root, work);
      await place.remove('published');
      return done;
    } catch (error) {
      // What cannot be cleaned now is cleaned by the next process; the first error is the one to tell.
      await place.remove('abandoned').catch(() => undefined);
      throw error;
    }
  }

  async function publish(
    place: PrivateFolder,
    name: string,
    draft: DraftManifest,
    hashes: ReadonlyMap<string, string>,
  ): Promise<Manifest> {
    const files = await describeStaged(join(place.path, 'files'), name, draft, hashes);
    const complete = (version: string) =>
      Manifest.parse({ ...draft, version, created_at: new Date().toISOString(), files });
    return show(place, files, () => catalogue.publish(name, complete));
  }

  async function putFiles(name: string, source: string, hashes: ReadonlyMap<string, string>): Promise<FileSet> {
    checkFileSetName(name);
    const place = await tellDiskFull(root, () => staging.open());
    return finish(place, async () => {
      const folder = join(place.path, 'files');
      for (const path of await listFiles(source)) await linkOrCopy(join(source, path), join(folder, path));
      const files = await describeFiles(folder, hashes);
      return show(place, files, () => sets.create(name, files));
    });
  }

  /** Blobs first, then the record that names them: until then nobody can see any of it. */
  async function show<T>(place: PrivateFolder, files: readonly SetFile[], createRecord: () => Promise<T>): Promise<T> {
    const folder = join(place.path, 'files');
    // From here on a cleaner can tell which blobs are ours should we die.
    await writeDurably(join(place.path, 'manifest.json'), JSON.stringify({ files }));
    // A collection that has not seen this plan is over now; one that begins from here on spares what is in it.
    await uses.nobodyFrees();
    for (const file of files) await ensureBlob(join(folder, file.path), file.sha256, 'verify');
    const shown = await createRecord();
    // A cleaner that looked just before the record stood may have moved a blob of ours away.
    for (const file of files) await ensureBlob(join(folder, file.path), file.sha256, 'trust');
    return shown;
  }

  /** Afterwards the blob is there. One that was there before is hashed with `verify`, and replaced when it is damaged. */
  async function ensureBlob(file: string, sha256: string, existing: 'verify' | 'trust'): Promise<void> {
    const blob = join(root, blobKey(sha256));
    const made = await linkOrCopy(file, blob);
    if (!made && existing === 'verify' && (await sha256Of(blob)) !== sha256) {
      const better = `${file}.replacement`;
      await linkOrCopy(file, better);
      await rename(better, blob);
    }
    await syncToDisk(dirname(blob));
  }

  function collect({ dryRun = false, graceMs = GRACE_MS, fileSets = [] }: CollectOptions = {}): Promise<Collected> {
    return uses.whileFreeing(async (inUse) => {
      for (const name of dryRun ? [] : fileSets) await sets.remove(name);
      const expired = (await catalogue.allRemoved()).filter(
        (removed) => removed.at.getTime() + graceMs <= Date.now() && !inUse.has(labelOf(removed)),
      );
      const gone = dryRun ? expired : await catalogue.forget(expired);
      for (const { name, version } of dryRun ? [] : gone) {
        await rm(join(root, 'materialized', name, version), { recursive: true, force: true });
      }
      // Who publishes and wrote the plan too late for this waits until the end (nobodyFrees); all others are in it, and their blobs
      // are spared. Plans before manifests: whoever has ended in between is in these.
      const planned = await staging.planned();
      const isGone = new Set(gone.map(labelOf));
      const manifests = (await catalogue.allManifests()).filter((manifest) => !isGone.has(labelOf(manifest)));
      const reachable = blobsOf([...manifests, ...(await sets.all(dryRun ? fileSets : []))]);
      const unreachable = (await listBlobs(root)).filter(
        ({ sha256 }) => !reachable.has(sha256) && !planned.has(sha256),
      );
      const freed = dryRun ? unreachable : await staging.sweep(unreachable);
      return {
        versions: gone.map(labelOf),
        blobs: freed.length,
        bytes: freed.reduce((sum, { bytes }) => sum + bytes, 0),
      };
    });
  }

  return {
    ...catalogue,
    location: root,
    stage,
    async materialize(manifest) {
      // Nothing can be freed from a bucket that cannot be written.
      await uses.begin(labelOf(manifest)).catch(unlessReadOnly);
      try {
        return await materialize(manifest);
      } catch (error) {
        await uses.end(labelOf(manifest));
        throw error;
      }
    },
    release: (manifest) => uses.end(labelOf(manifest)),
    read: (manifest, file, range) =>
      readFileOf(manifest, file, range, async ({ sha256 }, { start, end }) =>
        createReadStream(join(root, blobKey(sha256)), { start, end: end - 1, highWaterMark: 1 << 18 }),
      ),
    putFiles: (name, folder, hashes) => putFiles(name, folder, hashes ?? new Map()),
    fileSets: sets.list,
    async fetchFiles(name, folder) {
      const set = await sets.require(name);
      await fetchInto(folder, set, (file, path) => copyBlob(file, path, name));
      return set;
    },
    contents: async () => ({ manifests: await catalogue.allManifests(), fileSets: await sets.all() }),
    removeFiles: sets.remove,
    collect,
  };

  /** Nothing is done where a right copy is there already. */
  async function copyBlob({ path, sha256 }: SetFile, target: string, name: string): Promise<void> {
    if ((await sha256Of(target).catch(() => undefined)) === sha256) return;
    try {
      await copyFile(join(root, blobKey(sha256)), target, constants.COPYFILE_FICLONE);
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
      throw new AppError('not_found', `${path} of ${name} is no longer in the bucket ${root}.`, { cause: error });
    }
    await chmod(target, 0o644);
    const found = await sha256Of(target);
    if (found === sha256) return;
    throw new AppError('internal', `${path} of ${name} is damaged in the bucket ${root}: its sha256 is ${found}.`);
  }
}

function unlessReadOnly(error: unknown): void {
  if (!isReadOnly(error)) throw error;
}
