/**
 * Which models and versions a bucket has and what their names point at: manifests, and a journal per model. The same for every kind
 * of bucket; knows no blobs and no storage.
 */
import { AppError } from '../contracts/errors.ts';
import { type Manifest, VersionName } from '../contracts/manifest.ts';
import type { Bucket } from './bucket.ts';
import { type Decision, isThere, type JournalState, openJournal, rolledBack, targetOf, withTarget } from './journal.ts';
import {
  checkModelName,
  checkStoredAlias,
  compareVersions,
  MANIFESTS,
  manifestKey,
  nextVersion,
  parseReference,
} from './keys.ts';
import { parseManifest, saysTheSame } from './parse-manifest.ts';
import type { Records } from './records.ts';

type Names = Pick<
  Bucket,
  'models' | 'versions' | 'resolve' | 'aliases' | 'setAlias' | 'rollback' | 'changes' | 'remove' | 'removed' | 'restore'
>;

/** What a removal leaves to be collected. */
export interface RemovedVersion {
  readonly name: string;
  readonly version: string;
  readonly at: Date;
}

export interface Catalogue extends Names {
  /** The newest version, where it says and holds the same. */
  same(name: string, complete: (version: string) => Manifest): Promise<Manifest | undefined>;
  /**
   * Makes the manifest visible under the next free version: the one act of publishing. Where the newest version says and holds the
   * same, that is given instead: newest and next number come from one look, so that two who publish the same at once get one version.
   */
  publish(name: string, complete: (version: string) => Manifest): Promise<Manifest>;
  /** Manifests of everything that can be resolved or restored. Rejects when one is damaged: what it names is then not known. */
  allManifests(): Promise<Manifest[]>;
  allRemoved(): Promise<RemovedVersion[]>;
  /** Makes removals final; gives those that nobody took back meanwhile. Manifests stay, so that a number is never given twice. */
  forget(removed: readonly RemovedVersion[]): Promise<RemovedVersion[]>;
}

export function openCatalogue(records: Records, location: string): Catalogue {
  const journalOf = (name: string) => openJournal(records, checkModelName(name));

  /** All that ever were. */
  async function everyVersion(name: string): Promise<string[]> {
    const entries = await records.list(`${MANIFESTS}${checkModelName(name)}/`);
    return entries
      .filter((entry) => entry.endsWith('.json'))
      .map((entry) => entry.slice(0, -'.json'.length))
      .filter((version) => VersionName.safeParse(version).success)
      .sort(compareVersions);
  }

  async function look(name: string): Promise<{ readonly versions: string[]; readonly state: JournalState }> {
    const every = await everyVersion(name);
    const state = await journalOf(name).state();
    return { versions: every.filter((version) => isThere(state, version)), state };
  }

  async function everyName(): Promise<string[]> {
    const entries = await records.list(MANIFESTS);
    return entries
      .filter((entry) => entry.endsWith('/'))
      .map((entry) => entry.slice(0, -1))
      .sort();
  }

  async function versions(name: string): Promise<string[]> {
    return (await look(name)).versions;
  }

  async function models(): Promise<string[]> {
    const names = await everyName();
    const counts = await Promise.all(names.map(async (name) => (await versions(name)).length));
    return names.filter((_, index) => (counts[index] ?? 0) > 0);
  }

  async function resolveReference(text: string): Promise<Manifest> {
    const reference = parseReference(text);
    const { name } = reference;
    const { versions: there, state } = await look(name);
    const aliases = aliasesOf(there, state);
    const version =
      reference.kind === 'version'
        ? there.find((candidate) => candidate === reference.version)
        : reference.kind === 'alias'
          ? aliases.get(reference.alias)
          : (aliases.get('champion') ?? there.at(-1));
    const manifest = version === undefined ? undefined : await read(name, version);
    if (manifest !== undefined) return manifest;
    if (there.length === 0) throw await noSuchModel(name);
    if (reference.kind === 'alias') {
      const known = [...aliases].map(([alias, target]) => `${alias} (${target})`).join(', ');
      throw new AppError('not_found', `${name} has no alias "${reference.alias}" in ${location}; it has ${known}.`);
    }
    throw noSuchVersion(name, version ?? text.slice(name.length + 1), there, state);
  }

  async function noSuchModel(name: string): Promise<AppError> {
    const known = await models();
    const there = known.length > 0 ? `It has: ${known.join(', ')}.` : 'It is empty: ./slipway convert makes a model.';
    return new AppError('not_found', `There is no model "${name}" in the bucket ${location}. ${there}`);
  }

  function noSuchVersion(name: string, version: string, there: readonly string[], state: JournalState): AppError {
    const removed = state.removed[version];
    const hint = removed === undefined ? '' : ` ${version} was removed on ${removed.slice(0, 10)} and can be restored.`;
    return new AppError(
      'not_found',
      `${name} has no version ${version} in ${location}; it has ${there.join(', ')}.${hint}`,
    );
  }

  /** Undefined when it has gone in this moment. */
  async function read(name: string, version: string): Promise<Manifest | undefined> {
    const key = manifestKey(name, version);
    const text = await records.read(key);
    return text === undefined ? undefined : parseManifest(text, name, version, records.where(key));
  }

  async function requireVersion(name: string, version: string, state: JournalState): Promise<string[]> {
    const there = (await everyVersion(name)).filter((candidate) => isThere(state, candidate));
    if (there.includes(version)) return there;
    throw there.length === 0 ? await noSuchModel(name) : noSuchVersion(name, version, there, state);
  }

  async function sameIn(name: string, version: string | undefined, complete: (version: string) => Manifest) {
    // One that is damaged is no reason not to publish.
    const there = version === undefined ? undefined : await read(name, version).catch(unlessDamaged);
    return there !== undefined && saysTheSame(there, complete(there.version)) ? there : undefined;
  }

  return {
    models,
    versions,
    resolve: resolveReference,

    async aliases(name) {
      const { versions: there, state } = await look(name);
      return aliasesOf(there, state);
    },

    setAlias: (name, alias, version, { expected } = {}) =>
      journalOf(name).append(async (state) => {
        checkStoredAlias(alias);
        const now = targetOf(state, alias);
        if (version !== null) await requireVersion(name, version, state);
        if (now === version) return null;
        requireExpected(name, alias, now, expected);
        return { event: { kind: 'set', alias, version }, state: withTarget(state, alias, version) };
      }),

    async rollback(name, alias = 'champion', { expected } = {}) {
      let version: string | null = null;
      await journalOf(name).append(async (state) => {
        checkStoredAlias(alias);
        requireExpected(name, alias, targetOf(state, alias), expected);
        const past = rolledBack(state, alias);
        if (past === undefined) {
          if ((await everyVersion(name)).length === 0) throw await noSuchModel(name);
          throw new AppError(
            'not_found',
            `${alias} of ${name} has not pointed at another version that is still there.`,
          );
        }
        version = past.at(-1) ?? null;
        return {
          event: { kind: 'rollback', alias, version },
          state: { ...state, aliases: { ...state.aliases, [alias]: past } },
        };
      });
      return version;
    },

    changes: (name) => journalOf(name).changes(),

    remove: (name, version) =>
      journalOf(name).append(async (state) => {
        const there = await requireVersion(name, version, state);
        const aliases = Object.keys(state.aliases).filter((alias) => targetOf(state, alias) === version);
        if (aliases.length > 0) {
          throw new AppError(
            'conflict',
            `${name}@${version} is ${aliases.join(' and ')}. Let that point elsewhere before you remove it.`,
          );
        }
        if (there.length === 1) {
          throw new AppError('conflict', `${name}@${version} is the only version of ${name}; it stays.`);
        }
        const removed = { ...state.removed, [version]: new Date().toISOString() };
        return { event: { kind: 'remove', version }, state: { ...state, removed } };
      }),

    async removed(name) {
      const { removed } = await journalOf(name).state();
      return new Map(Object.entries(removed).map(([version, at]) => [version, new Date(at)]));
    },

    restore: (name, version) =>
      journalOf(name).append(async (state) => {
        if (!(version in state.removed)) {
          if ((await everyVersion(name)).includes(version) && isThere(state, version)) return null;
          const can = Object.keys(state.removed).sort(compareVersions).join(', ') || 'nothing';
          throw new AppError('not_found', `${name}@${version} cannot be restored in ${location}; ${can} can.`);
        }
        const { [version]: _, ...removed } = state.removed;
        return { event: { kind: 'restore', version }, state: { ...state, removed } };
      }),

    same: async (name, complete) => sameIn(name, (await versions(name)).at(-1), complete),

    async publish(name, complete) {
      for (;;) {
        const every = await everyVersion(name);
        const state = await journalOf(name).state();
        const newest = every.findLast((version) => isThere(state, version));
        const same = await sameIn(name, newest, complete);
        if (same !== undefined) return same;
        const manifest = complete(nextVersion(every));
        const text = `${JSON.stringify(manifest, null, 2)}\n`;
        if (await records.create(manifestKey(name, manifest.version), text)) return manifest;
      }
    },

    async allManifests() {
      const all: Manifest[] = [];
      for (const name of await everyName()) {
        const every = await everyVersion(name);
        const { collected } = await journalOf(name).state();
        const reachable = every.filter((version) => !collected.includes(version));
        const manifests = await Promise.all(reachable.map((version) => read(name, version)));
        for (const manifest of manifests) if (manifest) all.push(manifest);
      }
      return all;
    },

    async allRemoved() {
      const all: RemovedVersion[] = [];
      for (const name of await everyName()) {
        const { removed } = await journalOf(name).state();
        for (const [version, at] of Object.entries(removed)) all.push({ name, version, at: new Date(at) });
      }
      return all;
    },

    async forget(removed) {
      const forgotten: RemovedVersion[] = [];
      for (const [name, mine] of Map.groupBy(removed, (version) => version.name)) {
        let gone: RemovedVersion[] = [];
        await journalOf(name).append(async (state) => {
          gone = mine.filter(({ version, at }) => state.removed[version] === at.toISOString());
          return gone.length === 0 ? null : forgetting(state, new Set(gone.map(({ version }) => version)));
        });
        forgotten.push(...gone);
      }
      return forgotten;
    },
  };
}

/** Sorted by alias. */
function aliasesOf(versions: readonly string[], state: JournalState): Map<string, string> {
  const found = Object.keys(state.aliases).map((alias) => [alias, targetOf(state, alias)] as const);
  const computed = [
    ['latest', versions.at(-1) ?? null],
    ['previous', rolledBack(state, 'champion')?.at(-1) ?? null],
  ] as const;
  const all = [...found, ...computed].filter((pair): pair is readonly [string, string] => pair[1] !== null);
  return new Map(all.sort(([left], [right]) => (left < right ? -1 : 1)));
}

function requireExpected(name: string, alias: string, now: string | null, expected: string | null | undefined): void {
  if (expected === undefined || expected === now) return;
  const place = (version: string | null) => version ?? 'nothing';
  throw new AppError(
    'conflict',
    `${alias} of ${name} is ${place(now)} now, not ${place(expected)}: somebody else moved it. Look, and decide again.`,
  );
}

function forgetting(state: JournalState, versions: ReadonlySet<string>): Decision {
  const removed = Object.fromEntries(Object.entries(state.removed).filter(([version]) => !versions.has(version)));
  return {
    event: { kind: 'collect', versions: [...versions] },
    state: { ...state, removed, collected: [...state.collected, ...versions].sort(compareVersions) },
  };
}

function unlessDamaged(error: unknown): undefined {
  if (!(error instanceof AppError) || error.code !== 'internal') throw error;
}
