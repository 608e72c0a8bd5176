/**
 * A bucket in a folder: blobs by sha256, manifests by name and version, and, made from them on demand, folders of hard links
 * that a runtime can open. Every name appears at once with its whole content. Knows nothing of what the files mean.
 */
import { chmod, link, mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { AppError } from '../contracts/errors.ts';
import { Manifest, VersionName } from '../contracts/manifest.ts';
import type { Bucket, DraftManifest, Staging } from './bucket.ts';
import { errorCode, linkOrCopy, listFiles, sha256Of, syncToDisk, tellDiskFull, writeDurably } from './durable-files.ts';
import {
  blobKey,
  checkModelName,
  compareVersions,
  isSafePath,
  manifestKey,
  nextVersion,
  parseReference,
} from './keys.ts';
import { materializer } from './materialize.ts';
import { type PrivateFolder, stagingArea } from './staging-area.ts';

/** Nothing is written until something is staged or materialized. */
export function openFolderBucket(path: string): Bucket {
  const root = resolve(path);
  const staging = stagingArea(root, referencedBlobs);

  async function models(): Promise<string[]> {
    const names = await readdirOrNone(join(root, 'manifests'));
    const counts = await Promise.all(names.map(async (name) => (await versions(name)).length));
    return names.filter((_, index) => (counts[index] ?? 0) > 0).sort();
  }

  async function versions(name: string): Promise<string[]> {
    const entries = await readdirOrNone(join(root, 'manifests', checkModelName(name)));
    return entries
      .filter((entry) => entry.endsWith('.json'))
      .map((entry) => entry.slice(0, -'.json'.length))
      .filter((version) => VersionName.safeParse(version).success)
      .sort(compareVersions);
  }

  async function read(name: string, version: string): Promise<Manifest> {
    const file = join(root, manifestKey(name, version));
    const problem = (what: string) =>
      new AppError(
        'internal',
        `The manifest ${file} cannot be used (${what}): it is damaged or from another version of Slipway. Convert the model again.`,
      );
    let json: unknown;
    try {
      json = JSON.parse(await readFile(file, 'utf8'));
    } catch (error) {
      throw errorCode(error) === undefined ? problem('it is not JSON') : error;
    }
    const manifest = Manifest.safeParse(json);
    if (!manifest.success) {
      const issue = manifest.error.issues[0];
      throw problem(`${issue?.path.join('.')}: ${issue?.message}`);
    }
    if (manifest.data.name !== name || manifest.data.version !== version) throw problem('it names another version');
    const unsafe = manifest.data.files.find((entry) => !isSafePath(entry.path));
    if (unsafe) throw problem(`the path ${JSON.stringify(unsafe.path)} leaves the version`);
    return manifest.data;
  }

  async function resolveReference(reference: string): Promise<Manifest> {
    const { name, version } = parseReference(reference);
    const existing = await versions(name);
    const found = version === undefined ? existing.at(-1) : existing.find((candidate) => candidate === version);
    if (found !== undefined) return read(name, found);
    if (existing.length > 0) {
      throw new AppError('not_found', `${name} has no version ${version} in ${root}; it has ${existing.join(', ')}.`);
    }
    const known = await models();
    const there = known.length > 0 ? `It has: ${known.join(', ')}.` : 'It is empty: ./slipway convert makes a model.';
    throw new AppError('not_found', `There is no model "${name}" in the bucket ${root}. ${there}`);
  }

  async function referencedBlobs(): Promise<Set<string>> {
    const referenced = new Set<string>();
    for (const name of await models()) {
      for (const version of await versions(name)) {
        for (const file of (await read(name, version)).files) referenced.add(file.sha256);
      }
    }
    return referenced;
  }

  async function stage(name: string): Promise<Staging> {
    checkModelName(name);
    const place = await tellDiskFull(root, () => staging.open());
    return {
      folder: join(place.path, 'files'),
      publish: async (draft, hashes) => {
        try {
          const manifest = await tellDiskFull(root, () => publish(place, name, draft, hashes ?? new Map()));
          await place.remove('published');
          return manifest;
        } catch (error) {
          // What cannot be cleaned now is cleaned by the next process; the first error is the one to tell.
          await place.remove('abandoned').catch(() => undefined);
          throw error;
        }
      },
      discard: () => place.remove('abandoned'),
    };
  }

  /** Blobs first, then the manifest under the next free name: until then nobody can see any of it. */
  async function publish(
    place: PrivateFolder,
    name: string,
    draft: DraftManifest,
    hashes: ReadonlyMap<string, string>,
  ): Promise<Manifest> {
    if (draft.name !== name) throw new Error(`staged for ${name}, but the manifest says ${draft.name}`);
    const folder = join(place.path, 'files');
    const files: Manifest['files'] = [];
    for (const path of await listFiles(folder)) {
      if (!isSafePath(path)) throw new AppError('invalid_source', `A version cannot hold a file named ${path}.`);
      const file = join(folder, path);
      await chmod(file, 0o444);
      await syncToDisk(file);
      files.push({ path, bytes: (await stat(file)).size, sha256: hashes.get(path) ?? (await sha256Of(file)) });
    }
    requireFiles(draft, new Set(files.map((file) => file.path)));

    const complete = (version: string) =>
      Manifest.parse({ ...draft, version, created_at: new Date().toISOString(), files });
    // From here on a cleaner can tell which blobs are ours should we die.
    const plan = complete(nextVersion(await versions(name)));
    await writeDurably(join(place.path, 'manifest.json'), JSON.stringify(plan));
    for (const file of files) await ensureBlob(join(folder, file.path), file.sha256, 'verify');

    await mkdir(join(root, 'manifests', name), { recursive: true });
    for (;;) {
      const manifest = complete(nextVersion(await versions(name)));
      const written = join(place.path, `${manifest.version}.json`);
      await writeDurably(written, `${JSON.stringify(manifest, null, 2)}\n`);
      const target = join(root, manifestKey(name, manifest.version));
      try {
        // The one act of publishing: link() gives the whole file its name, or fails because another took that version.
        await link(written, target);
      } catch (error) {
        if (errorCode(error) === 'EEXIST') continue;
        throw error;
      }
      await syncToDisk(dirname(target));
      // A cleaner that looked just before the manifest stood may have moved a blob of another, dead publisher away.
      for (const file of files) await ensureBlob(join(folder, file.path), file.sha256, 'trust');
      return manifest;
    }
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

  return {
    location: root,
    stage,
    models,
    versions,
    resolve: resolveReference,
    materialize: materializer(root, staging),
  };
}

/** A manifest that names a file nobody wrote is a bug of the publisher. */
function requireFiles(draft: DraftManifest, present: ReadonlySet<string>): void {
  const { serving, standard } = draft.graphs;
  const named = [serving.path, standard.path, draft.weights, draft.text.tokenizer, draft.text.chat_template];
  const missing = named.find((path) => path !== null && !present.has(path));
  if (missing !== undefined) throw new Error(`the manifest names ${missing}, which is not among the staged files`);
}

async function readdirOrNone(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
