/**
 * Makes a version a plain folder of files: hard links to its blobs, verified by sha256 once. Later starts compare sizes and
 * modification times only, because hashing takes longer than loading. Knows nothing of what the files mean.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Manifest } from '../contracts/manifest.ts';
import { errorCode, linkOrCopy, sha256Of, tellDiskFull, writeDurably } from './durable-files.ts';
import { blobKey } from './keys.ts';
import { bootId } from './owner.ts';
import { damaged } from './read-file.ts';
import { type StagingArea, stagingArea } from './staging-area.ts';

/** What the files looked like right after their hashes were found right. */
export const Verified = z.object({
  /** Set when the files were not forced onto the disk: after another start of the machine they may not be what they were. */
  boot: z.string().optional(),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), mtimeMs: z.number(), sha256: z.string() })),
});
type Verified = z.infer<typeof Verified>;

/** For a folder bucket, whose blobs lie on this machine. */
export function materializer(root: string, staging: StagingArea): (manifest: Manifest) => Promise<string> {
  return async (manifest) => {
    const inside = join(root, 'materialized', manifest.name, manifest.version);
    if (await stillVerified(inside, manifest)) return join(inside, 'files');
    try {
      return await tellDiskFull(root, () => linkVersion(root, inside, staging, manifest));
    } catch (error) {
      // A bucket in a read-only image: its folders are made in the user's cache instead.
      if (!isReadOnly(error)) throw error;
    }
    const cache = join(cacheFolder(), createHash('sha256').update(root).digest('hex').slice(0, 16));
    const outside = join(cache, 'materialized', manifest.name, manifest.version);
    if (await stillVerified(outside, manifest)) return join(outside, 'files');
    const nothingReferenced = async () => new Set<string>();
    return tellDiskFull(cache, () => linkVersion(root, outside, stagingArea(cache, nothingReferenced), manifest));
  };
}

export function isReadOnly(error: unknown): boolean {
  return ['EROFS', 'EACCES', 'EPERM'].includes(errorCode(error) ?? '');
}

export interface LinkOptions {
  /** The sha256 of blobs that were found right a moment ago and need no other look. */
  readonly verified?: ReadonlySet<string>;
  /** The blobs have not been forced onto the disk: they count until the machine starts again. */
  readonly boot?: string;
}

/** Makes `target` from the blobs below `root`; gives the folder of its files. */
export async function linkVersion(
  root: string,
  target: string,
  staging: StagingArea,
  manifest: Manifest,
  { verified = new Set(), boot }: LinkOptions = {},
): Promise<string> {
  const place = await staging.open();
  try {
    const files: Verified['files'] = [];
    for (const { path, bytes, sha256 } of manifest.files) {
      const file = join(place.path, 'files', path);
      try {
        await linkOrCopy(join(root, blobKey(sha256)), file);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') throw damaged(manifest, path, 'its blob is missing');
        throw error;
      }
      const found = verified.has(sha256) ? sha256 : await sha256Of(file);
      if (found !== sha256) throw damaged(manifest, path, `its sha256 is ${found} instead of ${sha256}`);
      files.push({ path, bytes, sha256, mtimeMs: (await stat(file)).mtimeMs });
    }
    await rm(join(place.path, 'orphans'), { recursive: true });
    await writeDurably(join(place.path, 'verified.json'), JSON.stringify({ boot, files } satisfies Verified));
    await takeName(place.path, target, manifest);
    return join(target, 'files');
  } finally {
    await place.remove('abandoned');
  }
}

/** The folder gets its name whole; when another process was quicker with the same version, its folder is as good as ours. */
async function takeName(built: string, target: string, manifest: Manifest): Promise<void> {
  await mkdir(join(target, '..'), { recursive: true });
  for (;;) {
    try {
      await rename(built, target);
      return;
    } catch (error) {
      if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
    }
    if (await stillVerified(target, manifest)) return;
    const stale = join(built, 'stale');
    await rename(target, stale).catch(() => undefined);
    await rm(stale, { recursive: true, force: true });
  }
}

/** It was made from this manifest, and its files have the sizes and times they had then. */
export async function stillVerified(folder: string, manifest: Manifest): Promise<boolean> {
  try {
    const verified = Verified.parse(JSON.parse(await readFile(join(folder, 'verified.json'), 'utf8')));
    if (verified.boot !== undefined && verified.boot !== bootId()) return false;
    const byPath = new Map(verified.files.map((file) => [file.path, file]));
    for (const { path, bytes, sha256 } of manifest.files) {
      const file = await stat(join(folder, 'files', path));
      const known = byPath.get(path);
      if (known?.sha256 !== sha256 || file.size !== bytes || file.mtimeMs !== known.mtimeMs) return false;
    }
    return true;
  } catch {
    // Not made yet, cut short or changed by hand: made anew from the blobs, which says what is wrong if they are.
    return false;
  }
}

/** Where this user's processes keep what can be made again: SLIPWAY_CACHE_DIR, or a folder among the user's caches. */
export function cacheFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  return environment.SLIPWAY_CACHE_DIR || join(environment.XDG_CACHE_HOME || join(homedir(), '.cache'), 'slipway');
}
