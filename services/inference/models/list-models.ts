/**
 * The list of models: all versions that the buckets have, where their aliases point, and what is loaded of it. Reads the buckets;
 * changes nothing.
 */
import type { Bucket } from '@slipway/shared/bucket/bucket.ts';
import { AppError } from '@slipway/shared/contracts/errors.ts';
import type { Manifest, Precision } from '@slipway/shared/contracts/manifest.ts';
import type { HostedModel } from './model-host.ts';
import type { Following } from './model-state.ts';
import { textOf } from './which-model.ts';

export interface ModelList {
  readonly models: readonly ListedModel[];
  /** Buckets that could not be read, and why. */
  readonly memory: EnginesMemory;
  readonly unreadable: readonly { readonly bucket: string; readonly reason: string }[];
}

export interface EnginesMemory {
  /** What all engines hold now. */
  readonly enginesBytes: number;
  /** What the container or machine has left; null where that is not known. */
  readonly availableBytes: number | null;
  /** What all engines may hold; null: all there is. */
  readonly limitBytes: number | null;
}

export interface ListedModel {
  readonly name: string;
  readonly bucket: string | null;
  /** Alias -> version. */
  readonly aliases: ReadonlyMap<string, string>;
  /** Oldest first. */
  readonly versions: readonly ListedVersion[];
  readonly loaded: readonly ListedHost[];
}

export interface ListedVersion {
  readonly version: string;
  readonly precision: Precision;
  readonly parameters: number;
  readonly createdAt: string;
  /** Of all its files. */
  readonly bytes: number;
  /** What an engine took at most when it was last open, or an estimate. */
  readonly expectedMemoryBytes: number;
  readonly isLoaded: boolean;
}

/** A name under which something is loaded. */
export interface ListedHost {
  readonly reference: string;
  readonly isMain: boolean;
  /** The one that answers; null while there is none. */
  readonly version: string | null;
  readonly state: 'loading' | 'ready' | 'failed' | 'unloading';
  /** What it is doing, or why it is not ready. */
  readonly detail: string | null;
  readonly following: Following | null;
  /** What the engine's process holds now; names of one version share it. */
  readonly memoryBytes: number | null;
  readonly requests: number;
  /** As performance.now() has it. */
  readonly lastUsedAt: number | null;
}

export interface Listing {
  readonly buckets: readonly Bucket[];
  readonly hosts: readonly HostedModel[];
  /** Those that finish what has begun. */
  readonly leaving: readonly HostedModel[];
  readonly memory: EnginesMemory;
  readonly expectedBytes: (manifest: Manifest) => number;
  /** By NAME@v001, kept between lists: a version never changes. */
  readonly manifests: Map<string, Manifest>;
}

export async function listModels(listing: Listing): Promise<ModelList> {
  const models: ListedModel[] = [];
  const unreadable: { bucket: string; reason: string }[] = [];
  for (const bucket of listing.buckets) {
    try {
      const names = (await bucket.models()).filter((name) => !models.some((model) => model.name === name));
      models.push(...(await Promise.all(names.map((name) => listModel(name, bucket, listing)))));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      unreadable.push({ bucket: bucket.location, reason: error.message });
    }
  }
  // What is loaded is told even where its bucket cannot be read, or has it no more.
  const known = new Set(models.map(({ name }) => name));
  const hosted = [...listing.hosts, ...listing.leaving].flatMap(({ reference }) => reference?.name ?? []);
  const others = new Set(hosted.filter((name) => !known.has(name)));
  for (const name of others) models.push({ ...unlisted(name), loaded: hostsOf(name, listing) });
  return { models: models.sort((a, b) => (a.name < b.name ? -1 : 1)), unreadable, memory: listing.memory };
}

function unlisted(name: string): ListedModel {
  return { name, bucket: null, aliases: new Map(), versions: [], loaded: [] };
}

async function listModel(name: string, bucket: Bucket, listing: Listing): Promise<ListedModel> {
  const [aliases, numbers] = await Promise.all([bucket.aliases(name), bucket.versions(name)]);
  const loaded = hostsOf(name, listing);
  const versions = await Promise.all(
    numbers.map(async (version) => {
      const manifest = await manifestOf(`${name}@${version}`, bucket, listing.manifests);
      return listVersion(manifest, listing, loaded);
    }),
  );
  return { name, bucket: bucket.location, aliases, versions, loaded };
}

async function manifestOf(label: string, bucket: Bucket, manifests: Map<string, Manifest>): Promise<Manifest> {
  const manifest = manifests.get(label) ?? (await bucket.resolve(label));
  manifests.set(label, manifest);
  return manifest;
}

function listVersion(manifest: Manifest, { expectedBytes }: Listing, loaded: readonly ListedHost[]): ListedVersion {
  const { version, precision, architecture, created_at, files } = manifest;
  return {
    version,
    precision,
    parameters: architecture.parameters,
    createdAt: created_at,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    expectedMemoryBytes: Math.round(expectedBytes(manifest)),
    isLoaded: loaded.some((host) => host.version === version),
  };
}

function hostsOf(name: string, { hosts, leaving }: Listing): ListedHost[] {
  return [...hosts, ...leaving].flatMap((host) => {
    const { reference } = host;
    return reference?.name === name ? describeHost(host, textOf(reference), leaving.includes(host)) : [];
  });
}

function describeHost(host: HostedModel, reference: string, isLeaving: boolean): ListedHost {
  const state = host.state();
  const model = host.current();
  const reason = state.kind === 'loading' ? state.stage : state.kind === 'failed' ? state.reason : null;
  return {
    reference,
    isMain: host.isMain,
    version: model?.manifest.version ?? null,
    state: isLeaving ? 'unloading' : state.kind,
    detail: reason ?? host.following()?.detail ?? null,
    following: host.following(),
    memoryBytes: model?.engineProcess().memoryBytes ?? null,
    requests: model?.holders.count ?? 0,
    lastUsedAt: model?.holders.lastUsedAt ?? null,
  };
}
