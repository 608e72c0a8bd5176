/**
 * Which runs lose their checkpoints, model and prepared data when room is made, the oldest first, and why all others keep them. Pure.
 */
import type { RunRecord } from './run-record.ts';
import { hasEnded } from './run-state.ts';

export interface RunSpace {
  readonly run: Pick<RunRecord, 'id' | 'name' | 'state' | 'ended_at' | 'freed_at'> & { readonly base: string | null };
  readonly bytes: number;
}

export interface Wanted {
  readonly now: number;
  /** How long an ended run keeps everything. */
  readonly graceMs: number;
  /** Bytes that must come free; runs beyond that keep what they have. */
  readonly bytes: number;
}

export interface Verdict extends RunSpace {
  /** null: it is freed. For people. */
  readonly kept: string | null;
}

export function chooseFreed(spaces: readonly RunSpace[], wanted: Wanted): Verdict[] {
  const bases = new Map(
    spaces.flatMap(({ run }) => (run.base === null || hasEnded(run.state) ? [] : [[run.base.split('@')[0], run.id]])),
  );
  let missing = wanted.bytes;
  return spaces
    .toSorted((a, b) => timeOf(a) - timeOf(b))
    .map((space) => {
      const kept = whyKept(space, wanted, bases) ?? (missing <= 0 ? 'there is room enough' : null);
      if (kept === null) missing -= space.bytes;
      return { ...space, kept };
    });
}

function whyKept({ run, bytes }: RunSpace, { now, graceMs }: Wanted, bases: ReadonlyMap<string | undefined, string>) {
  // Who freed it may have been killed before all of it was gone.
  if (run.freed_at !== null && bytes === 0) return 'was freed before';
  if (run.state === 'paused') return 'is paused and can be resumed';
  if (!hasEnded(run.state)) return `is ${run.state}`;
  const user = bases.get(run.name);
  if (user !== undefined) return `${user} may go on from its model`;
  const days = Math.ceil((Date.parse(run.ended_at ?? '') + graceMs - now) / 86_400_000);
  return days > 0 ? `is kept for ${days} more ${days === 1 ? 'day' : 'days'}` : null;
}

function timeOf({ run }: RunSpace): number {
  return run.ended_at === null ? Number.POSITIVE_INFINITY : Date.parse(run.ended_at);
}
