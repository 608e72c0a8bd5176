/**
 * Holds one model under the name it was asked for, from the first look into the bucket until it is let go, puts another version in its
 * place when its name comes to point there, and knows at every moment what answers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { parseReference, type Reference } from '@slipway/shared/bucket/keys.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import type { SupervisedEngine } from '../engine/index.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { findVersion, followedReference, withoutOwner } from './find-version.ts';
import { type Follower, followVersion, type Prepared } from './follow-version.ts';
import type { OpenModel, TellStage } from './load-model.ts';
import type { Following, ModelState } from './model-state.ts';
import type { Lease, OpenVersions } from './open-versions.ts';

export interface HostOptions {
  /** NAME, NAME@ALIAS or NAME@v001; null: the first model of the first bucket that has one. */
  readonly model: string | null;
  /** Answers requests that name no model. */
  readonly isMain: boolean;
  /** The service starts with it. */
  readonly isFirst: boolean;
  readonly buckets: readonly Bucket[];
  readonly versions: OpenVersions;
  /** Seconds between looks at where the name points; 0: never. */
  readonly pollSeconds: number;
  readonly log: Logger;
  /** Why it may not be opened beside those that run; undefined when it may. */
  readonly whyNoRoom: (manifest: Manifest) => Promise<string | undefined>;
  readonly onAliases: (name: string, aliases: ReadonlyMap<string, string>) => void;
}

export interface HostedModel {
  readonly isMain: boolean;
  /** Null: not known yet, as no name was given and the bucket has not been seen. */
  readonly reference: Reference | null;
  /** Rejects with the AppError that kept it from loading. */
  readonly loaded: Promise<LoadedModel>;
  /** Another version is about to take the place of the one that answers. */
  readonly isSwapping: boolean;
  /** The version that answers, or will again when its engine has been started again. */
  current(): OpenModel | undefined;
  state(): ModelState;
  /** Null when one version is served for good. */
  following(): Following | null;
  /** Gives up what is being loaded. Resolves when what has begun is answered and the engine has ended. */
  letGo(): Promise<void>;
}

const FOLLOWER_MILLISECONDS = 3000;

/** Begins to load at once. */
export function hostModel(options: HostOptions): HostedModel {
  const { versions, buckets, log, isMain, isFirst } = options;
  const leaving = new AbortController();
  const { signal } = leaving;
  let reference: Reference | null = null;
  let loading: ModelState = { kind: 'loading', stage: 'starting', progress: 0 };
  let lease: Lease | undefined;
  let follower: Follower | undefined;
  let isSwapping = false;

  async function load(): Promise<LoadedModel> {
    const tell: TellStage = (stage, progress) => {
      loading = { kind: 'loading', stage, progress };
      log.info({ progress }, stage);
    };
    try {
      if (options.model !== null) reference = parseReference(withoutOwner(options.model));
      tell('looking for the model', 0);
      const { bucket, manifest } = await findVersion(buckets, options.model);
      reference ??= { kind: 'default', name: manifest.name };
      options.onAliases(manifest.name, await bucket.aliases(manifest.name));
      lease = await versions.acquire({ bucket, manifest }, { tell, signal, isFirst });
      const followed = followedReference(options.model, manifest);
      if (followed !== undefined && options.pollSeconds > 0) follower = follow(bucket, followed);
      return lease.model;
    } catch (error) {
      loading = { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
      throw error;
    }
  }

  function follow(bucket: Bucket, followed: string): Follower {
    return followVersion({
      bucket,
      reference: followed,
      everySeconds: options.pollSeconds,
      log,
      signal,
      served: () => lease?.model.manifest.version ?? '',
      whyNoRoom: (manifest) => whileSwapping(() => options.whyNoRoom(manifest)),
      prepare: (manifest) => whileSwapping(() => prepare(bucket, manifest)),
      onAliases: options.onAliases,
    });
  }

  async function whileSwapping<T>(task: () => Promise<T>): Promise<T> {
    isSwapping = true;
    try {
      return await task();
    } finally {
      isSwapping = false;
    }
  }

  async function prepare(bucket: Bucket, manifest: Manifest): Promise<Prepared> {
    const next = await versions.acquire({ bucket, manifest }, { tell: (stage) => log.info(stage), signal });
    return {
      discard: () => next.release(),
      switchTo() {
        const before = lease;
        lease = next;
        versions.counter.count(manifest.name, 'swaps');
        return before?.release() ?? Promise.resolve();
      },
    };
  }

  const loaded = load();
  // Whoever needs the outcome awaits it; until then a failure must not end the process as unhandled.
  loaded.catch(() => {});
  return {
    isMain,
    get reference() {
      return reference;
    },
    get isSwapping() {
      return isSwapping;
    },
    loaded,
    current: () => lease?.model,
    state: () => (lease === undefined ? loading : stateOf(lease.model)),
    following: () => follower?.following() ?? null,
    async letGo() {
      leaving.abort();
      // It either gives a model to let go or has cleaned up after itself.
      await loaded.catch(() => {});
      await Promise.race([follower?.ended, sleep(FOLLOWER_MILLISECONDS, undefined, { ref: false })]);
      await lease?.release();
    },
  };
}

/** How a model with a supervised engine stands right now. */
export function stateOf(model: LoadedModel & { readonly engine: SupervisedEngine }): ModelState {
  const state = model.engine.state();
  if (state.kind === 'ready') return { kind: 'ready', model };
  if (state.kind === 'failed') return { kind: 'failed', reason: state.reason };
  return { kind: 'loading', stage: model.whyNotReady() ?? 'the engine has started again', progress: 0.5 };
}
