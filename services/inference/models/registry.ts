/**
 * The models of this service: the main one, those loaded at the start or by request, and those on demand. Finds the one that a request
 * means, loads, unloads and lists. The only place that puts the parts of this folder together; knows nothing of HTTP.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { labelOf, parseReference, type Reference } from '@slipway/shared/bucket/keys.ts';
import type { ServiceConfig } from '@slipway/shared/contracts/config.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import { isModelReference, type Manifest } from '@slipway/shared/contracts/manifest.ts';
import type { Logger } from '@slipway/shared/lib/log.ts';
import { steadyNow } from '@slipway/shared/lib/steady-now.ts';
import type { LoadedModel } from '../generation/loaded-model.ts';
import { BucketLookup } from './bucket-lookup.ts';
import { bucketsFor, withoutOwner } from './find-version.ts';
import { HostedModels, type NewHost } from './hosted-models.ts';
import { footprintIn, type OpenModel } from './load-model.ts';
import { loadedInTime } from './loaded-in-time.ts';
import { type MemoryReadings, readMemory } from './memory.ts';
import { MemoryAdmission } from './memory-admission.ts';
import { type HostedModel, hostModel } from './model-host.ts';
import type { MainState } from './model-state.ts';
import { OpenVersions } from './open-versions.ts';
import { Retries } from './retries.ts';
import { readyModel, type ServedModels, type Unloaded, type Waiting, whyNotReady } from './served-models.ts';
import { textOf } from './which-model.ts';

export class ModelRegistry implements ServedModels {
  readonly #config: ServiceConfig;
  readonly #log: Logger;
  readonly #buckets: readonly Bucket[];
  readonly #admission: MemoryAdmission;
  readonly #versions: OpenVersions;
  readonly #hosted: HostedModels;
  readonly #lookup: BucketLookup;
  readonly #retries = new Retries();
  readonly #closing = new AbortController();
  readonly #opening = Promise.withResolvers<void>();
  /** By NAME@v001, for lists: a version never changes. */
  readonly #manifests = new Map<string, Manifest>();
  /** Rejects with the AppError that kept the main model from loading when the service started. */
  readonly mainLoaded: Promise<LoadedModel>;
  /** Resolves when the first engine's process has been started, or when there will be none. */
  readonly opening = this.#opening.promise;
  readonly main = { state: () => this.#mainState(), following: () => this.#hosted.main?.following() ?? null };

  /** Begins to load the main model at once, and what is to be preloaded after it. */
  constructor(config: ServiceConfig, log: Logger, readings: () => MemoryReadings = readMemory) {
    this.#config = config;
    this.#log = log;
    this.#buckets = bucketsFor(config.bucketUrl);
    this.#lookup = new BucketLookup(this.#buckets);
    this.#admission = new MemoryAdmission({
      readings,
      limitBytes: config.modelsMaxMemory,
      footprintOf: (manifest) => footprintIn(manifest, config),
      open: () => this.#versions.models(),
      mayGo: (model) => this.#mayGo(model),
      unload: (model) => this.#unload(model),
      log,
    });
    this.#versions = new OpenVersions({
      config,
      log,
      aliasesOf: (manifest) => this.#hosted.aliasesOf(manifest),
      admit: (manifest, isFirst) => (isFirst ? this.#admission.admitFirst(manifest) : this.#admission.admit(manifest)),
      onEnding: (model) => this.#admission.measure(model),
      onEngineStarting: this.#opening.resolve,
    });
    this.#hosted = new HostedModels(config.model, (host) => this.#create(host));
    this.mainLoaded = this.#hosted.first.loaded;
    this.mainLoaded.then(() => this.#preload(), this.#opening.resolve);
  }

  async find(wanted: string | undefined, waiting?: Waiting): Promise<LoadedModel> {
    const { main, mainReference } = this.#hosted;
    // Nobody knows yet what it will answer to.
    if (main !== undefined && mainReference === null) return readyModel(main);
    const reference = wanted === undefined ? mainReference : referenceOf(wanted);
    if (reference === null) throw this.#notServed(wanted);
    const host = this.#hosted.which(reference) ?? this.#hosted.loadingUnder(reference.name);
    if (host !== undefined && (host === main || host.current() !== undefined)) return readyModel(host);
    if (!this.#config.modelsOnDemand) throw await this.#whyNot(wanted, reference, host);
    if (host === undefined && wanted !== undefined && !(await this.#lookup.has(reference)))
      throw this.#notServed(wanted);
    return this.#onDemand(reference, waiting);
  }

  loaded(): readonly LoadedModel[] {
    const ready = this.#hosted.all().flatMap((host) => {
      const state = host.state();
      return state.kind === 'ready' ? [state.model] : [];
    });
    return [...new Set(ready)];
  }

  idOf(model: LoadedModel): string {
    const { name, manifest } = model;
    const meant = this.#hosted.which({ kind: 'default', name })?.state();
    const isMeant = meant?.kind === 'ready' && meant.model === model;
    return isMeant || manifest === null ? name : labelOf(manifest);
  }

  totals() {
    return this.#versions.counter.totals;
  }

  detail(): string | null {
    const main = this.#mainState();
    const details = this.#hosted.all().flatMap((host) => {
      const following = host.following()?.detail ?? [];
      if (host.isMain || host.reference === null) return following;
      const state = host.state();
      if (state.kind === 'ready') return following;
      return `${textOf(host.reference)}: ${state.kind === 'loading' ? state.stage : state.reason}`;
    });
    if (main.kind === 'unloaded') details.unshift(main.reason);
    return details.length === 0 ? null : details.join('; ');
  }

  async list() {
    const { listModels } = await import('./list-models.ts');
    return listModels({
      buckets: this.#buckets,
      hosts: this.#hosted.all(),
      leaving: this.#hosted.leaving(),
      memory: this.#admission.memory(),
      expectedBytes: (manifest) => this.#admission.expectedBytes(manifest),
      manifests: this.#manifests,
    });
  }

  load(wanted: string): Promise<LoadedModel> {
    const reference = parseReference(withoutOwner(wanted));
    this.#retries.forget(textOf(reference));
    return this.#host(reference).loaded;
  }

  async unload(wanted: string): Promise<Unloaded> {
    const host = this.#hosted.which(parseReference(withoutOwner(wanted)));
    if (host?.reference == null) throw noSuch(`${JSON.stringify(wanted)} is not loaded; ${this.#names()}`);
    const name = textOf(host.reference);
    const model = host.current();
    this.#retries.forget(name);
    this.#log.info({ model: name }, 'unloading');
    await this.#hosted.letGo(host);
    const still = model === undefined ? [] : this.#hosted.leadingTo(model);
    return {
      reference: name,
      version: model === undefined ? null : labelOf(model.manifest),
      stillLoadedAs: still.flatMap(({ reference }) => (reference === null ? [] : textOf(reference))),
    };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const letGo = [...this.#hosted.all(), ...this.#hosted.leaving()].map((host) => host.letGo());
    await this.#versions.close();
    await Promise.all(letGo);
  }

  #create({ model, isMain, isFirst }: NewHost): HostedModel {
    return hostModel({
      model,
      isMain,
      isFirst,
      buckets: this.#buckets,
      versions: this.#versions,
      pollSeconds: this.#config.pollSeconds,
      log: this.#log,
      whyNoRoom: (manifest) => this.#whyNoRoom(manifest),
      onAliases: (name, aliases) => this.#hosted.sawAliases(name, aliases),
    });
  }

  #host(reference: Reference): HostedModel {
    return this.#hosted.host(reference, (host, error) => this.#failed(textOf(reference), host, error));
  }

  #failed(name: string, host: HostedModel, error: unknown): void {
    const code = error instanceof AppError ? error.code : 'internal';
    if (this.#closing.signal.aborted || code === 'conflict') return;
    this.#retries.failed(name, code === 'insufficient_memory');
    this.#log.warn({ model: name, err: error }, 'a model could not be loaded');
    if (code === 'not_found') this.#hosted.forget(host);
  }

  async #onDemand(reference: Reference, waiting: Waiting | undefined): Promise<LoadedModel> {
    const before = this.#hosted.which(reference);
    if (before !== undefined && this.#retries.mustWait(textOf(reference))) return readyModel(before);
    const host = this.#host(reference);
    const deadline = waiting?.deadline ?? steadyNow() + this.#config.timeoutSeconds * 1000;
    await loadedInTime(host, textOf(reference), { deadline, signal: waiting?.signal ?? this.#closing.signal });
    return readyModel(host);
  }

  #mainState(): MainState {
    const { main, mainReference } = this.#hosted;
    if (main !== undefined) return main.state();
    const name = mainReference === null ? '' : textOf(mainReference);
    return { kind: 'unloaded', reason: `${name} was unloaded; ${howToLoad(name)}` };
  }

  async #preload(): Promise<void> {
    for (const wanted of this.#config.preload) {
      // The reason is logged and listed where it failed.
      await this.load(wanted).catch(() => void this.#tryAgain(wanted));
    }
  }

  /** Until it is loaded, or somebody has unloaded it. */
  async #tryAgain(wanted: string): Promise<void> {
    const name = withoutOwner(wanted);
    for (let pause = this.#retries.pauseOf(name); pause !== undefined; pause = this.#retries.pauseOf(name)) {
      await sleep(pause, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
      if (this.#closing.signal.aborted || this.#retries.pauseOf(name) === undefined) return;
      await this.#host(parseReference(name)).loaded.then(
        () => this.#retries.forget(name),
        () => {},
      );
    }
  }

  async #whyNoRoom(manifest: Manifest): Promise<string | undefined> {
    try {
      const release = await this.#admission.admit(manifest);
      release();
      return undefined;
    } catch (error) {
      if (error instanceof AppError && error.code === 'insufficient_memory') return error.message;
      throw error;
    }
  }

  #mayGo(model: OpenModel): boolean {
    const hosts = this.#hosted.leadingTo(model);
    const isNeeded = hosts.some((host) => host.isMain || host.isSwapping);
    return hosts.length > 0 && !isNeeded && model.holders.count === 0;
  }

  async #unload(model: OpenModel): Promise<void> {
    await Promise.all(this.#hosted.leadingTo(model).map((host) => this.#hosted.letGo(host)));
  }

  async #whyNot(wanted: string | undefined, reference: Reference, host: HostedModel | undefined): Promise<AppError> {
    if (wanted === undefined) return whyNotReady(this.main.state());
    // That somebody has it loaded does not mean that there is one. Where the bucket cannot be read, what is not loaded is not served here.
    const isThere = await this.#lookup.has(reference).catch(() => host !== undefined);
    if (!isThere) return this.#notServed(wanted);
    if (host !== undefined) return whyNotReady(host.state());
    const name = textOf(reference);
    return noSuch(`model ${JSON.stringify(wanted)} is in the bucket but not loaded; ${howToLoad(name)}`);
  }

  #notServed(wanted: string | undefined): AppError {
    return noSuch(`model ${JSON.stringify(wanted)} is not served here; ${this.#names()}`);
  }

  /** `one or one@v001, other or other@v002 are`. */
  #names(): string {
    const names = this.#hosted.all().flatMap((host) => {
      const model = host.current();
      if (model === undefined || host.reference === null) return [];
      const isByName = host.isMain || host.reference.kind !== 'version';
      return isByName
        ? `${textOf(host.reference).replace(/@v\d+$/, '')} or ${labelOf(model.manifest)}`
        : labelOf(model.manifest);
    });
    if (names.length === 0) return 'nothing is';
    return `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'}`;
  }
}

/** Null when it is no name of a model. */
function referenceOf(wanted: string): Reference | null {
  return isModelReference(wanted) ? parseReference(withoutOwner(wanted)) : null;
}

function noSuch(message: string): AppError {
  return new AppError('not_found', message, { field: 'model' });
}

function howToLoad(name: string): string {
  return `POST /models/load {"model": "${name}"} loads it, and with MODELS_ON_DEMAND=true so does a request for it`;
}
