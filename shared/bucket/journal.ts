/**
 * What has been done to one model's aliases and versions, as numbered entries that are only ever added. Every entry carries the whole
 * state after it, so that the last one is enough to know how things are. Who decides on an old state finds the next number taken and
 * decides anew: changes of one model happen one after the other, whoever makes them. Knows no manifests.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { AppError } from '../contracts/errors.ts';
import { AliasName, VersionName } from '../contracts/manifest.ts';
import type { Change } from './bucket.ts';
import { journalFolder, journalKey } from './keys.ts';
import type { Records } from './records.ts';

/** Where rollback can go back to, and what `changes` tells. */
const REMEMBERED = 100;
const ATTEMPTS = 50;

const Target = VersionName.nullable();

export const JournalState = z.object({
  /** Alias -> everything it pointed at, the present last. */
  aliases: z.record(AliasName, z.array(Target)),
  /** Version -> when. Their manifests are where they were. */
  removed: z.record(VersionName, z.iso.datetime()),
  /** Removed for good: only their manifests are left. */
  collected: z.array(VersionName),
});
export type JournalState = z.infer<typeof JournalState>;

const Event = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('set'), alias: AliasName, version: Target }),
  z.object({ kind: z.literal('rollback'), alias: AliasName, version: Target }),
  z.object({ kind: z.literal('remove'), version: VersionName }),
  z.object({ kind: z.literal('restore'), version: VersionName }),
  z.object({ kind: z.literal('collect'), versions: z.array(VersionName) }),
]);
export type JournalEvent = z.infer<typeof Event>;

const Entry = z.object({
  schema: z.literal(1),
  /** Tells two equal entries of two processes apart. */
  id: z.string(),
  at: z.iso.datetime(),
  event: Event,
  state: JournalState,
});

const NOTHING_YET: JournalState = { aliases: {}, removed: {}, collected: [] };

export interface Journal {
  state(): Promise<JournalState>;
  /** Oldest first. */
  changes(): Promise<Change[]>;
  /** `decide` gives what happens and the state after it, or null when nothing is to be done; it runs again when another was quicker. */
  append(decide: (state: JournalState) => Promise<Decision | null>): Promise<void>;
}

export interface Decision {
  readonly event: JournalEvent;
  readonly state: JournalState;
}

export function openJournal(records: Records, name: string): Journal {
  async function numbers(): Promise<number[]> {
    const entries = await records.list(journalFolder(name));
    return entries
      .filter((entry) => /^\d{8}[.]json$/.test(entry))
      .map((entry) => Number(entry.slice(0, 8)))
      .sort((left, right) => left - right);
  }

  async function read(number: number): Promise<z.infer<typeof Entry>> {
    const key = journalKey(name, number);
    const text = await records.read(key);
    try {
      return Entry.parse(JSON.parse(text ?? ''));
    } catch (error) {
      throw new AppError(
        'internal',
        `${records.where(key)} cannot be used: it is damaged or from another version of Slipway. Restore it from a backup.`,
        { cause: error },
      );
    }
  }

  async function head(): Promise<{ readonly number: number; readonly state: JournalState }> {
    const number = (await numbers()).at(-1);
    return number === undefined ? { number: 0, state: NOTHING_YET } : { number, state: (await read(number)).state };
  }

  return {
    state: async () => (await head()).state,
    async changes() {
      const entries = await Promise.all((await numbers()).slice(-REMEMBERED).map(read));
      return entries.map(({ at, event }) => ({ ...event, at: new Date(at) }));
    },
    async append(decide) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const { number, state } = await head();
        const decision = await decide(state);
        if (decision === null) return;
        const entry = { schema: 1, id: randomUUID(), at: new Date().toISOString(), ...decision } as const;
        if (await records.create(journalKey(name, number + 1), `${JSON.stringify(Entry.parse(entry), null, 1)}\n`))
          return;
        await pause(Math.random() * 20 * attempt);
      }
      throw new AppError('conflict', `Too many others change ${name} at this moment. Try again.`);
    },
  };
}

/** Where an alias points; null: nowhere. */
export function targetOf(state: JournalState, alias: string): string | null {
  return pastOf(state, alias).at(-1) ?? null;
}

function pastOf(state: JournalState, alias: string): (string | null)[] {
  return Object.hasOwn(state.aliases, alias) ? (state.aliases[alias] ?? []) : [];
}

export function isThere(state: JournalState, version: string): boolean {
  return !(version in state.removed) && !state.collected.includes(version);
}

/** Where `rollback` would make an alias point, with what it forgets dropped; undefined: it never pointed elsewhere. */
export function rolledBack(state: JournalState, alias: string): (string | null)[] | undefined {
  const now = targetOf(state, alias);
  const past = pastOf(state, alias).slice(0, -1);
  const kept = past.findLastIndex((version) => version !== now && (version === null || isThere(state, version)));
  return kept < 0 ? undefined : past.slice(0, kept + 1);
}

export function withTarget(state: JournalState, alias: string, version: string | null): JournalState {
  const past = [...pastOf(state, alias), version].slice(-REMEMBERED);
  return { ...state, aliases: { ...state.aliases, [alias]: past } };
}
