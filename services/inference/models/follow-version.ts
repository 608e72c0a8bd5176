/**
 * Follows a name in the bucket: looks where it points, again and again, and has another version put in the place of the one that is
 * served. Owns when to try and what is said of it; how a version is opened, switched to and ended is its caller's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { Following } from './model-state.ts';

export interface FollowOptions {
  readonly bucket: Bucket;
  readonly reference: string;
  readonly everySeconds: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The version that answers now. */
  readonly served: () => string;
  /** Why it may not be opened beside the one that runs; undefined when it may. */
  readonly whyNoRoom: (manifest: Manifest) => Promise<string | undefined>;
  /** Opens it beside the one that runs and proves it. Rejects when it cannot be served; then nothing of it is left. */
  readonly prepare: (manifest: Manifest) => Promise<Prepared>;
  /** Told at every look where all aliases of the name point. */
  readonly onAliases: (name: string, aliases: ReadonlyMap<string, string>) => void;
}

export interface Prepared {
  /** New requests go to it from now on. Resolves when the version before has been ended. */
  switchTo(): Promise<void>;
  discard(): Promise<void>;
}

/** A version that could not be served is tried again after so many looks, doubled each time, up to ten minutes. */
const FIRST_RETRY_LOOKS = 2;
const LONGEST_RETRY_SECONDS = 600;

export interface Follower {
  following(): Following;
  /** Resolves when it has stopped, at `signal`. */
  readonly ended: Promise<void>;
}

export function followVersion(options: FollowOptions): Follower {
  const { bucket, reference, everySeconds, log, signal } = options;
  const [name = reference] = reference.split('@');
  let wanted: string | null = null;
  let detail: string | null = null;
  let failed = { version: '', times: 0, retryAt: 0 };

  /** What is new is logged, once. */
  function say(version: string | null, text: string | null, isProblem = false): void {
    if (text !== null && text !== detail) {
      log[isProblem ? 'warn' : 'info']({ following: reference, served: options.served(), wanted: version }, text);
    }
    wanted = version;
    detail = text;
  }

  async function look(): Promise<void> {
    const [manifest, aliases] = await Promise.all([bucket.resolve(reference), bucket.aliases(name)]);
    options.onAliases(name, aliases);
    const { version } = manifest;
    if (version === options.served()) {
      failed = { version: '', times: 0, retryAt: 0 };
      say(null, null);
      return;
    }
    if (version === failed.version && performance.now() < failed.retryAt) return;
    const noRoom = await options.whyNoRoom(manifest);
    if (noRoom !== undefined) {
      say(version, `${noRoom}; ${options.served()} goes on serving`, true);
      return;
    }
    await swap(manifest);
  }

  async function swap(manifest: Manifest): Promise<void> {
    const { version } = manifest;
    const before = options.served();
    say(version, `${version} is being loaded beside ${before}`);
    let prepared: Prepared;
    try {
      prepared = await options.prepare(manifest);
    } catch (error) {
      if (signal.aborted) return;
      const times = failed.version === version ? failed.times + 1 : 1;
      const pause = Math.min(everySeconds * FIRST_RETRY_LOOKS ** times, LONGEST_RETRY_SECONDS);
      failed = { version, times, retryAt: performance.now() + pause * 1000 };
      say(version, `${version} cannot be served: ${messageOf(error)}; ${before} goes on serving`, true);
      return;
    }
    // While it was loaded the name may have been moved back, or the version removed: then nobody wants it any more.
    const now = await bucket.resolve(reference).catch(() => undefined);
    if (signal.aborted || now?.version !== version) {
      await prepared.discard();
      if (!signal.aborted) say(null, `${version} was loaded, but ${reference} no longer points at it`);
      return;
    }
    const ended = prepared.switchTo();
    say(null, `${version} answers; ${before} finishes what it has begun`);
    await ended;
    say(null, null);
    log.info({ following: reference, served: version }, `${before} has ended`);
  }

  async function follow(): Promise<void> {
    for (;;) {
      await sleep(everySeconds * 1000, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      try {
        await look();
      } catch (error) {
        if (signal.aborted) return;
        say(wanted, `where ${reference} points could not be seen: ${messageOf(error)}`, true);
      }
    }
  }

  return { following: () => ({ reference, everySeconds, wanted, detail }), ended: follow() };
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}
