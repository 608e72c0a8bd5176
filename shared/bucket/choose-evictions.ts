/**
 * What leaves a cache when room is needed: first blobs of no version, then whole versions, longest unused first, each with the blobs
 * that only it had. Never what is in use. A pure function; touches no file.
 */
export interface CachedVersion {
  readonly place: string;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
  readonly inUse: boolean;
  readonly sha256: readonly string[];
}

interface CachedBlob {
  readonly sha256: string;
  readonly bytes: number;
}

export interface CacheContent {
  readonly blobs: readonly CachedBlob[];
  readonly versions: readonly CachedVersion[];
  /** Of processes that are about to make a version of them, too. */
  readonly neededBlobs: ReadonlySet<string>;
  /** Bytes that blobs may take afterwards; less than nothing when even an empty cache would not do. */
  readonly room: number;
}

export interface Evictions {
  readonly versions: readonly CachedVersion[];
  readonly blobs: readonly CachedBlob[];
}

export function chooseEvictions({ blobs, versions, neededBlobs, room }: CacheContent): Evictions {
  const left = new Map(blobs.map((blob) => [blob.sha256, blob]));
  const owners = new Map<string, number>();
  for (const { sha256 } of versions) for (const hash of sha256) owners.set(hash, (owners.get(hash) ?? 0) + 1);
  let bytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0);
  const evicted: CachedBlob[] = [];
  const evictBlobs = (hashes: Iterable<string>) => {
    for (const hash of hashes) {
      const blob = left.get(hash);
      if (blob === undefined || (owners.get(hash) ?? 0) > 0 || neededBlobs.has(hash)) continue;
      left.delete(hash);
      evicted.push(blob);
      bytes -= blob.bytes;
    }
  };
  const chosen: CachedVersion[] = [];
  if (bytes > room) evictBlobs([...left.keys()]);
  const unused = versions.filter(({ inUse }) => !inUse).sort((a, b) => a.lastUsed - b.lastUsed);
  for (const version of unused) {
    if (bytes <= room) break;
    for (const hash of version.sha256) owners.set(hash, (owners.get(hash) ?? 1) - 1);
    chosen.push(version);
    evictBlobs(version.sha256);
  }
  return { versions: chosen, blobs: evicted };
}
