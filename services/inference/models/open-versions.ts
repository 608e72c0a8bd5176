/**
 * The versions that are open: each once, in an engine's process of its own, however many names lead to it. Opens one when it is first
 * asked for, ends it when the last has let go and its requests are answered. Knows nothing of names that move.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { labelOf } from '@slipway/shared/bucket/keys.ts';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { type EngineState, type LayoutSpec, superviseEngine } from '../engine/index.ts';
import type { FoundVersion } from './find-version.ts';
import { type OpenModel, openVersion, type TellStage } from './load-model.ts';
import { ModelCounter } from './model-totals.ts';
import { proveEngine } from './prove-engine.ts';

export interface OpenVersionsOptions {
  readonly config: ServiceConfig;
  readonly log: Logger;
  /** Those that were last seen to point at the version. */
  readonly aliasesOf: (manifest: Manifest) => readonly string[];
  /** Resolves when there is room; what it gives is called when the version is open or never will be. */
  readonly admit: (manifest: Manifest, isFirst: boolean) => (() => void) | Promise<() => void>;
  /** The last moment at which it is known what its engine took. */
  readonly onEnding: (model: OpenModel) => void;
  readonly onEngineStarting: () => void;
}

export interface AcquireOptions {
  readonly tell: TellStage;
  /** Gives up; what nobody else waits for is then ended. */
  readonly signal: AbortSignal;
  /** The one a service starts with: a proof that it answers would only keep it from answering. */
  readonly isFirst?: boolean;
}

/** One holder's share of an open version. */
export interface Lease {
  readonly model: OpenModel;
  /** Resolves when the version has ended, unless somebody else has a share of it. */
  release(): Promise<void>;
}

interface Entry {
  readonly found: FoundVersion;
  readonly tells: Set<TellStage>;
  readonly abandoned: AbortController;
  readonly opened: Promise<OpenModel>;
  model: OpenModel | undefined;
  shares: number;
  /** Set when it can no longer be shared. */
  gone: Promise<void> | undefined;
}

/** What an ending version's requests get beyond their own deadline, to be answered. */
const GRACE_SECONDS = 5;
const CLOSING_MILLISECONDS = 3000;

export class OpenVersions {
  readonly counter = new ModelCounter();
  readonly #options: OpenVersionsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #closing = new AbortController();

  constructor(options: OpenVersionsOptions) {
    this.#options = options;
  }

  /** Also those that are ending. */
  models(): OpenModel[] {
    return [...this.#entries.values()].flatMap(({ model }) => model ?? []);
  }

  /** Rejects with the AppError that kept it from opening; then nothing of it is left. */
  async acquire(found: FoundVersion, { tell, signal, isFirst = false }: AcquireOptions): Promise<Lease> {
    const entry = await this.#share(found, tell, isFirst);
    let released: Promise<void> | undefined;
    const release = () => {
      released ??= this.#release(entry);
      return released;
    };
    signal.addEventListener('abort', release, { once: true });
    if (signal.aborted) void release();
    try {
      const model = await entry.opened;
      signal.throwIfAborted();
      return { model, release };
    } catch (error) {
      await release();
      if (!signal.aborted) throw error;
      throw new AppError('conflict', `${labelOf(found.manifest)} was unloaded while it was being loaded`);
    } finally {
      signal.removeEventListener('abort', release);
      entry.tells.delete(tell);
    }
  }

  /** Requests that are still running are cut off. */
  async close(): Promise<void> {
    this.#closing.abort();
    const patience = new AbortController();
    // Starting gives up at once, unless files are being fetched, which nobody waits for.
    const patient = sleep(CLOSING_MILLISECONDS, undefined, { signal: patience.signal }).catch(() => {});
    const ending = [...this.#entries.values()].map((entry) => {
      const ended = this.#end(entry);
      return entry.model === undefined ? Promise.race([ended, patient]) : ended;
    });
    await Promise.all(ending);
    patience.abort();
  }

  /** Counts the share at once: between two awaits somebody else may give up the last one. */
  async #share(found: FoundVersion, tell: TellStage, isFirst: boolean): Promise<Entry> {
    const key = labelOf(found.manifest);
    for (let entry = this.#entries.get(key); entry !== undefined; entry = this.#entries.get(key)) {
      if (entry.gone === undefined) {
        entry.tells.add(tell);
        entry.shares++;
        return entry;
      }
      await entry.gone;
    }
    const abandoned = new AbortController();
    const tells = new Set([tell]);
    const opened = this.#open(found, isFirst, tells, AbortSignal.any([abandoned.signal, this.#closing.signal]));
    const entry: Entry = { found, tells, abandoned, opened, model: undefined, shares: 1, gone: undefined };
    this.#entries.set(key, entry);
    opened.then(
      (model) => {
        entry.model = model;
      },
      () => this.#end(entry),
    );
    return entry;
  }

  async #open(
    found: FoundVersion,
    isFirst: boolean,
    tells: ReadonlySet<TellStage>,
    signal: AbortSignal,
  ): Promise<OpenModel> {
    const { config, aliasesOf, admit, onEngineStarting, log } = this.#options;
    const { manifest } = found;
    const { name, version } = manifest;
    const openEngine = (spec: LayoutSpec) => {
      const engine = superviseEngine(spec, {
        signal,
        onState: (state) => logState(log, manifest, state),
        onLine: (line) => log.warn({ model: name, version, line }, 'the engine printed'),
      });
      onEngineStarting();
      return engine;
    };
    const admitted = await admit(manifest, isFirst);
    try {
      const tell: TellStage = (stage, progress) => {
        for (const one of tells) one(stage, progress);
      };
      const model = await openVersion(found, config, { openEngine, tell, aliases: () => aliasesOf(manifest) });
      if (!isFirst) await this.#prove(model);
      this.counter.count(name, 'loads');
      return model;
    } catch (error) {
      this.counter.count(name, 'failures');
      throw error;
    } finally {
      admitted();
    }
  }

  async #prove(model: OpenModel): Promise<void> {
    try {
      await proveEngine(model.engine, model.bosTokenId ?? 0);
    } catch (error) {
      await model.engine.close();
      throw error;
    }
  }

  async #release(entry: Entry): Promise<void> {
    entry.shares--;
    if (entry.shares > 0) return;
    if (entry.model === undefined) entry.abandoned.abort();
    else await this.#emptied(entry.model);
    // Somebody may have asked for it meanwhile.
    if (entry.shares === 0) await this.#end(entry);
  }

  async #emptied({ holders, manifest }: OpenModel): Promise<void> {
    const isEmpty = await holders.emptied(this.#options.config.timeoutSeconds + GRACE_SECONDS, this.#closing.signal);
    if (!isEmpty) this.#options.log.error(`${holders.count} requests on ${labelOf(manifest)} were cut off`);
  }

  #end(entry: Entry): Promise<void> {
    entry.gone ??= this.#giveBack(entry);
    return entry.gone;
  }

  async #giveBack({ found: { bucket, manifest }, opened }: Entry): Promise<void> {
    const { log, onEnding } = this.#options;
    const model = await opened.catch(() => undefined);
    if (model !== undefined) {
      onEnding(model);
      await model.engine.close();
      this.counter.count(manifest.name, 'unloads');
    }
    await bucket
      .release(manifest)
      .catch((error: unknown) => log.warn({ err: error }, `${labelOf(manifest)} stays in use`));
    this.#entries.delete(labelOf(manifest));
  }
}

function logState(log: Logger, { name, version }: Manifest, state: EngineState): void {
  const fields = { model: name, version };
  if (state.kind === 'restarting') log.error({ ...fields, reason: state.reason }, 'the engine is started again');
  else log.info({ ...fields, ...state }, `the engine is ${state.kind}`);
}
