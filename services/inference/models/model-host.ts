/**
 * Holds the model that this service serves, from the first look into the bucket until it is closed, puts another version in its place
 * when its name comes to point there, and knows at every moment what answers.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { type EngineState, type LayoutSpec, type SupervisedEngine, superviseEngine } from '../engine/index.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { bucketsFor, findVersion, followedReference } from './find-version.ts';
import { type Follower, followVersion, type Prepared } from './follow-version.ts';
import { footprintIn, type OpenModel, openVersion, type TellStage } from './load-model.ts';
import { availableMemory, estimateMemory, type MemoryReadings, peakMemoryOf, readMemory } from './memory.ts';
import type { ModelHost, ModelState } from './model-state.ts';
import { ModelCounter } from './model-totals.ts';
import { proveEngine } from './prove-engine.ts';

export interface LoadingModelHost extends ModelHost {
  /** Rejects with the AppError that kept it from loading. */
  readonly loaded: Promise<LoadedModel>;
  /** The engine's process has been started, or there will be none. */
  readonly opening: Promise<void>;
}

/** What a replaced version's requests get beyond their own deadline, to be answered. */
const GRACE_SECONDS = 5;
const CLOSING_MILLISECONDS = 3000;

/** Begins to load at once. */
export function hostModel(
  config: ServiceConfig,
  log: Logger,
  memory: () => MemoryReadings = readMemory,
): LoadingModelHost {
  const closing = new AbortController();
  const opening = Promise.withResolvers<void>();
  let loading: ModelState = { kind: 'loading', stage: 'starting', progress: 0 };
  let model: OpenModel | undefined;
  let follower: Follower | undefined;
  const counter = new ModelCounter();
  /** Alias -> version, as last seen. */
  let aliases: ReadonlyMap<string, string> = new Map();

  async function open(bucket: Bucket, manifest: Manifest, tell: TellStage): Promise<OpenModel> {
    const openEngine = (spec: LayoutSpec): Promise<SupervisedEngine> => {
      const engine = superviseEngine(spec, {
        signal: closing.signal,
        onState: (state) => logState(log, manifest.version, state),
        onLine: (line) => log.warn({ version: manifest.version, line }, 'the engine printed'),
      });
      opening.resolve();
      return engine;
    };
    const own = () => [...aliases].filter(([, version]) => version === manifest.version).map(([alias]) => alias);
    try {
      const opened = await openVersion({ bucket, manifest }, config, { openEngine, tell, aliases: own });
      counter.count(manifest.name, 'loads');
      return opened;
    } catch (error) {
      counter.count(manifest.name, 'failures');
      throw error;
    }
  }

  async function load(): Promise<LoadedModel> {
    const tell: TellStage = (stage, progress) => {
      loading = { kind: 'loading', stage, progress };
      log.info({ progress }, stage);
    };
    try {
      tell('looking for the model', 0);
      const { bucket, manifest } = await findVersion(bucketsFor(config.bucketUrl), config.model);
      aliases = await bucket.aliases(manifest.name);
      model = await open(bucket, manifest, tell);
      const reference = followedReference(config.model, manifest);
      if (reference !== undefined && config.pollSeconds > 0) follower = follow(bucket, reference);
      return model;
    } catch (error) {
      loading = { kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
      throw error;
    } finally {
      opening.resolve();
    }
  }

  function follow(bucket: Bucket, reference: string): Follower {
    return followVersion({
      bucket,
      reference,
      everySeconds: config.pollSeconds,
      log,
      signal: closing.signal,
      served: () => model?.manifest.version ?? '',
      whyNoRoom: (manifest) => whyNoRoom(manifest, config, model, memory()),
      prepare: (manifest) => prepare(bucket, manifest),
      onAliases: (seen) => {
        aliases = seen;
      },
    });
  }

  async function prepare(bucket: Bucket, manifest: Manifest): Promise<Prepared> {
    let next: OpenModel;
    try {
      next = await open(bucket, manifest, (stage) => log.info(stage));
    } catch (error) {
      // The first error is the one to tell.
      await bucket.release(manifest).catch(() => {});
      throw error;
    }
    const discard = async () => {
      await next.engine.close();
      counter.count(next.name, 'unloads');
      await bucket.release(manifest);
    };
    try {
      await proveEngine(next.engine, next.bosTokenId ?? 0);
    } catch (error) {
      counter.count(next.name, 'failures');
      await discard().catch(() => {});
      throw error;
    }
    return {
      discard,
      async switchTo() {
        const before = model;
        model = next;
        if (before === undefined) return;
        counter.count(next.name, 'swaps');
        const isEmpty = await before.holders.emptied(config.timeoutSeconds + GRACE_SECONDS, closing.signal);
        if (!isEmpty) log.error(`${before.holders.count} requests on ${before.manifest.version} were cut off`);
        await before.engine.close();
        counter.count(before.name, 'unloads');
        await bucket.release(before.manifest);
      },
    };
  }

  const loaded = load();
  return {
    loaded,
    opening: opening.promise,
    state: () => (model === undefined ? loading : stateOf(model)),
    following: () => follower?.following() ?? null,
    totals: () => counter.totals,
    async close() {
      closing.abort();
      // It either gives a model to close or has cleaned up after itself.
      await loaded.catch(() => {});
      // A swap gives up at once, unless files are being fetched, which nobody waits for.
      await Promise.race([follower?.ended, sleep(CLOSING_MILLISECONDS, undefined, { ref: false })]);
      await model?.engine.close();
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

/** In words; undefined when the version fits beside the one that runs, or when nothing can be known of memory here. */
function whyNoRoom(
  manifest: Manifest,
  config: ServiceConfig,
  running: OpenModel | undefined,
  readings: MemoryReadings,
): string | undefined {
  const available = availableMemory(readings);
  if (available === null) return undefined;
  const state = running?.engine.state();
  const peakBytes = state?.kind === 'ready' ? peakMemoryOf(state.pid) : null;
  const measured = running && peakBytes !== null ? { footprint: running.footprint, peakBytes } : undefined;
  const needed = estimateMemory(footprintIn(manifest, config), measured);
  if (needed <= available) return undefined;
  const mebibytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return `it needs about ${mebibytes(needed)} of memory beside the one that runs, and ${mebibytes(available)} are free`;
}

function logState(log: Logger, version: string, state: EngineState): void {
  if (state.kind === 'restarting') log.error({ version, reason: state.reason }, 'the engine is started again');
  else log.info({ version, ...state }, `the engine is ${state.kind}`);
}
