/**
 * How publishers and collectors on S3, who share nothing but the bucket, keep out of each other's way.
 *
 * A publisher lists the blobs it relies on in a lease, and only then looks for collections. A collector lists the blobs it is about to
 * delete in a collection, and only then looks for leases, and after those for manifests. Both lists are objects of their own and S3
 * lists what has been written, so that for every blob one of the two sees the other: the collector spares what is leased; the
 * publisher waits until a collection that has its blob is over, and looks for its blobs only then. A manifest is written while the
 * lease still stands, and leases are read before manifests, so that the blob is never in neither.
 *
 * The dead: a lease is renewed by its owner and counts for an hour, by the server's clock; a publisher that could not renew it for half
 * that time (it slept) takes it anew and looks for its blobs again before it goes on. A collector begins no deletion later than a
 * minute after its collection was written and gives up on one after another; publishers take one they have seen for three for dead.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { ObjectStore, StoredObject } from './object-store.ts';

export interface LeaseTimes {
  /** How long a lease counts. */
  readonly leaseMs: number;
  /** How long a collector deletes under one collection. */
  readonly deletingMs: number;
  readonly pollMs: number;
}

export const LEASE_TIMES: LeaseTimes = { leaseMs: 3_600_000, deletingMs: 60_000, pollMs: 250 };

const LEASES = 'leases/';
const COLLECTIONS = 'collections/';

const Blobs = z.object({ sha256: z.array(z.string()) });

export interface Lease {
  /** Runs `look` when its blobs are safe from now on; again when they have not been in between. */
  whileSafe<T>(look: () => Promise<T>): Promise<T>;
  /** What was found while it was safe still holds. */
  isSafe(): boolean;
  end(): Promise<void>;
}

export function takeLease(store: ObjectStore, sha256: readonly string[], times: LeaseTimes = LEASE_TIMES): Lease {
  const key = `${LEASES}${randomUUID()}.json`;
  const text = JSON.stringify({ sha256 });
  const mine = new Set(sha256);
  let renewed = Number.NEGATIVE_INFINITY;
  const isSafe = () => performance.now() - renewed < times.leaseMs / 2;

  async function renew(): Promise<void> {
    const before = performance.now();
    await store.put(key, text);
    renewed = before;
  }

  async function take(): Promise<void> {
    await renew();
    const seen = new Map<string, number>();
    for (;;) {
      let waits = false;
      for await (const collection of store.list(COLLECTIONS)) {
        const first = seen.get(collection.key) ?? performance.now();
        seen.set(collection.key, first);
        if (performance.now() - first > 3 * times.deletingMs) continue;
        waits ||= (await blobsIn(store, collection)).some((hash) => mine.has(hash));
      }
      if (!waits) return;
      await pause(times.pollMs);
      await renew();
    }
  }

  const renewal = setInterval(() => {
    // One that has run out is taken anew, and its blobs looked for; renewing it would hide that.
    if (isSafe()) renew().catch(() => undefined);
  }, times.leaseMs / 8);
  renewal.unref();

  return {
    isSafe,
    async whileSafe(look) {
      for (;;) {
        if (!isSafe()) await take();
        const found = await look();
        if (isSafe()) return found;
      }
    },
    async end() {
      clearInterval(renewal);
      // One that stays counts for an hour, and the next collection removes it.
      await store.remove([key]).catch(() => undefined);
    },
  };
}

/** The blobs of all leases that count. Those that do not are removed when `now` is the server's. */
export async function leasedBlobs(store: ObjectStore, now: Date, times: LeaseTimes): Promise<Set<string>> {
  const leased = new Set<string>();
  for await (const lease of store.list(LEASES)) {
    if (now.getTime() - lease.modified.getTime() > times.leaseMs) continue;
    for (const hash of await blobsIn(store, lease)) leased.add(hash);
  }
  return leased;
}

/** Tells publishers what is about to be deleted while `work` runs; `mayDelete` says whether there is still time to. */
export async function whileCollecting<T>(
  store: ObjectStore,
  sha256: readonly string[],
  times: LeaseTimes,
  work: (now: Date, mayDelete: () => boolean) => Promise<T>,
): Promise<T> {
  const key = `${COLLECTIONS}${randomUUID()}.json`;
  const before = performance.now();
  await store.put(key, JSON.stringify({ sha256 }));
  try {
    const now = (await store.head(key))?.modified ?? new Date();
    return await work(now, () => performance.now() - before < times.deletingMs);
  } finally {
    await store.remove([key]).catch(() => undefined);
  }
}

/** What the dead have left: nobody looks at it any more. */
export async function removeOutdated(store: ObjectStore, now: Date, times: LeaseTimes): Promise<void> {
  const outdated: string[] = [];
  for (const folder of [LEASES, COLLECTIONS]) {
    for await (const { key, modified } of store.list(folder)) {
      if (now.getTime() - modified.getTime() > 2 * times.leaseMs) outdated.push(key);
    }
  }
  if (outdated.length > 0) await store.remove(outdated);
}

/** None when it is gone. */
async function blobsIn(store: ObjectStore, { key }: StoredObject): Promise<readonly string[]> {
  const text = await store.text(key);
  return text === undefined ? [] : Blobs.parse(JSON.parse(text)).sha256;
}
