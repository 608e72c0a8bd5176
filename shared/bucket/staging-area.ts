/**
 * Private folders inside a bucket in which things are built before they get their real names, and the cleaning of those
 * whose owner has died. Knows which blobs a dead publisher may have left, not what a version is.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../lib/make-folder.ts';
import { errorCode } from './durable-files.ts';
import { blobKey } from './keys.ts';
import { HEARTBEAT_MS, isDead, newOwnedName } from './owner.ts';

export interface PrivateFolder {
  /** Holds `files/` for the builder and, from the moment blobs may exist, `manifest.json`. */
  readonly path: string;
  /** `abandoned`: the blobs it made go too, unless a manifest names them. */
  remove(outcome: 'published' | 'abandoned'): Promise<void>;
}

export interface StagingArea {
  open(): Promise<PrivateFolder>;
  /** The blobs of all that are being published at this moment. */
  planned(): Promise<Set<string>>;
  /** Removes blobs that no manifest names when it comes to each; gives those removed. */
  sweep(blobs: readonly Blob[]): Promise<Blob[]>;
}

export interface Blob {
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * `referencedBlobs`: the sha256 of every blob that a manifest of the bucket names at this moment; it rejects when that cannot be
 * known, and then no blob is removed.
 */
export function stagingArea(root: string, referencedBlobs: () => Promise<ReadonlySet<string>>): StagingArea {
  const area = join(root, 'staging');

  async function open(): Promise<PrivateFolder> {
    makeFolder(area);
    await removeDead();
    const path = join(area, newOwnedName());
    await mkdir(join(path, 'files'), { recursive: true });
    // Made now, because cleaning must also work when the disk has become full.
    await mkdir(join(path, 'orphans'));
    const heartbeat = setInterval(() => {
      const now = new Date();
      utimes(path, now, now).catch(() => clearInterval(heartbeat));
    }, HEARTBEAT_MS);
    heartbeat.unref();
    return {
      path,
      remove: async (outcome) => {
        clearInterval(heartbeat);
        if (outcome === 'abandoned') await removeOrphans(path, await plannedBlobs(path));
        await rm(path, { recursive: true, force: true });
      },
    };
  }

  async function removeDead(): Promise<void> {
    for (const name of await readdir(area)) {
      const path = join(area, name);
      // Another process may be cleaning the same folder: what is gone is no error.
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
      if (!isDead(name, mtimeMs, Date.now())) continue;
      await removeOrphans(path, await plannedBlobs(path));
      await rm(path, { recursive: true, force: true });
    }
  }

  /**
   * Blobs get their names before the manifest that names them, so that a publisher who dies in between leaves blobs nobody
   * knows. They are first moved aside, then looked for in the manifests once more and put back if one names them by now:
   * a publisher of the same blob makes sure of its blobs after its manifest stands, so one of the two always sees the other.
   */
  async function removeOrphans(path: string, planned: readonly string[]): Promise<string[]> {
    const orphans = join(path, 'orphans');
    const before = planned.length === 0 ? new Set() : await referencedBlobs().catch(() => new Set(planned));
    for (const sha256 of planned) {
      if (before.has(sha256)) continue;
      await rename(join(root, blobKey(sha256)), join(orphans, sha256)).catch(ignoreMissing);
    }
    const aside = await readdir(orphans).catch(() => []);
    const after = aside.length === 0 ? new Set() : await referencedBlobs().catch(() => new Set(aside));
    const removed: string[] = [];
    for (const sha256 of aside) {
      if (after.has(sha256)) await rename(join(orphans, sha256), join(root, blobKey(sha256)));
      else removed.push(sha256);
    }
    return removed;
  }

  return {
    open,
    async planned() {
      const names = await readdir(area).catch(() => []);
      const plans = await Promise.all(names.map((name) => plannedBlobs(join(area, name))));
      return new Set(plans.flat());
    },
    async sweep(blobs) {
      const place = await open();
      try {
        const removed = new Set(
          await removeOrphans(
            place.path,
            blobs.map(({ sha256 }) => sha256),
          ),
        );
        return blobs.filter(({ sha256 }) => removed.has(sha256));
      } finally {
        // Only now do the blobs leave the disk; who dies before leaves them to the next staging.
        await place.remove('published');
      }
    },
  };
}

export async function listBlobs(root: string): Promise<Blob[]> {
  const folder = join(root, 'blobs/sha256');
  const prefixes = await readdir(folder).catch(() => []);
  const blobs: Blob[] = [];
  for (const prefix of prefixes) {
    for (const name of await readdir(join(folder, prefix))) {
      // What a copy that was cut off left behind has a longer name.
      const found = await stat(join(folder, prefix, name)).catch(() => undefined);
      if (found?.isFile() && /^[0-9a-f]{64}$/.test(name)) blobs.push({ sha256: name, bytes: found.size });
    }
  }
  return blobs;
}

/** Blobs that the publisher of this folder had made, or was about to make. */
async function plannedBlobs(path: string): Promise<string[]> {
  try {
    const manifest: unknown = JSON.parse(await readFile(join(path, 'manifest.json'), 'utf8'));
    const files = typeof manifest === 'object' && manifest !== null && 'files' in manifest ? manifest.files : [];
    if (!Array.isArray(files)) return [];
    return files.map((file: { sha256?: unknown }) => String(file.sha256)).filter((hash) => /^[0-9a-f]{64}$/.test(hash));
  } catch {
    // None yet, or cut off while it was written, and then no blob had been made.
    return [];
  }
}

function ignoreMissing(error: unknown): void {
  if (errorCode(error) !== 'ENOENT') throw error;
}
