/**
 * Decides what one step does. A pure function of plain data: who has ended, who is admitted to which slot, and whether a chunk of
 * prompt or one token of every decoding sequence is computed. Knows no logits, no layout and no clock.
 */
import { placeSequence, type SlotContents, type SlotCopy, saveSlot } from './prefix-cache.ts';

/** What planning needs to know of a sequence. It decodes once its whole prompt is in the cache. */
export interface PlannedSequence {
  readonly prompt: readonly number[];
  readonly deadline: number;
  readonly cancelled: boolean;
  /** It waits for something else than the model: it is not admitted, and its row is not computed. */
  readonly isPaused: boolean;
  /** Tokens it may still generate. */
  readonly remaining: number;
  /** Every position's logits are wanted: nothing is shared, and chunks are short, since a row of logits is long. */
  readonly needsPromptLogits: boolean;
  /** Undefined while it waits. */
  readonly slot: number | undefined;
}

export interface PlanLimits {
  /** Prompt tokens computed between two decode steps: how long running streams may stall. */
  readonly chunkWhileDecoding: number;
  /** Prompt tokens computed at once when nothing decodes. */
  readonly chunkAlone: number;
  /** The same for a sequence that needs the logits of its prompt. */
  readonly chunkWithLogits: number;
  /** Slots beyond those that sequences have needed so far, in which prefixes of ended sequences may be kept. */
  readonly spareSlots: number;
}

export interface PlanState<S extends PlannedSequence> {
  /** Oldest first. */
  readonly waiting: readonly S[];
  readonly running: readonly S[];
  readonly slots: readonly SlotContents[];
  /** Cost of the prompt tokens computed since the last decode step. */
  readonly promptWork: number;
  /** The most slots that sequences have needed at once. */
  readonly peakSlots: number;
}

export type PlannedRun<S extends PlannedSequence> =
  | { readonly type: 'idle' }
  | {
      readonly type: 'prefill';
      readonly sequence: S;
      readonly slot: number;
      readonly start: number;
      readonly end: number;
    }
  /** Row i decodes `rows[i]`; undefined is a hole, whose result is thrown away. */
  | { readonly type: 'decode'; readonly rows: readonly (S | undefined)[] };

/** Those it computes something for. */
export function sequencesOf<S extends PlannedSequence>(run: PlannedRun<S>): readonly S[] {
  if (run.type === 'idle') return [];
  return run.type === 'prefill' ? [run.sequence] : run.rows.filter((sequence) => sequence !== undefined);
}

export interface StepPlan<S extends PlannedSequence> {
  readonly ended: readonly { readonly sequence: S; readonly reason: 'cancelled' | 'timeout' }[];
  /** Leaves the waiting line for `slot`; `shared` positions of its prompt are there after the copies. */
  readonly admitted?: { readonly sequence: S; readonly slot: number; readonly shared: number };
  /** A decoding sequence that changes its slot; part of `copies`. */
  readonly moved?: { readonly sequence: S; readonly slot: number };
  /** In this order, before the run. */
  readonly copies: readonly SlotCopy[];
  readonly run: PlannedRun<S>;
}

/** A run of one prompt token costs about what 16 do: the weights are read once either way. */
const SMALLEST_PREFILL_COST = 16;

/** Copying this many positions costs about what one more row in one decode step does. */
const POSITIONS_PER_ROW = 128;

export function prefillCost(tokens: number): number {
  return Math.max(tokens, SMALLEST_PREFILL_COST);
}

/** Kernels work on tiles of this many rows, or a multiple. */
const ROW_TILE = 32;

/**
 * Where a chunk of about `chunk` tokens from `start` ends. A row that is alone in its tile is computed by another kernel, with other
 * rounding: so that a prompt gives the same numbers however it is cut, no chunk ends with such a row or leaves one.
 */
export function chunkEnd(start: number, promptLength: number, chunk: number): number {
  let end = Math.min(start + Math.max(chunk, 3), promptLength);
  while (end > start + 2 && ((end - start) % ROW_TILE === 1 || promptLength - end === 1)) end--;
  return end;
}

export function planStep<S extends PlannedSequence>(state: PlanState<S>, limits: PlanLimits, now: number): StepPlan<S> {
  const ended: { sequence: S; reason: 'cancelled' | 'timeout' }[] = [];
  const goesOn = (sequence: S) => {
    if (sequence.cancelled) ended.push({ sequence, reason: 'cancelled' });
    else if (now >= sequence.deadline) ended.push({ sequence, reason: 'timeout' });
    else return true;
    return false;
  };
  const running = state.running.filter(goesOn);
  const next = state.waiting.filter(goesOn).find(({ isPaused }) => !isPaused);

  const bySlot: (S | undefined)[] = state.slots.map(() => undefined);
  for (const sequence of running) if (sequence.slot !== undefined) bySlot[sequence.slot] = sequence;
  const filled = (slot: number) => state.slots[slot]?.tokens.length ?? 0;
  const occupied = new Set(running.flatMap((sequence) => sequence.slot ?? []));
  const hasPrompt = (sequence: S, slot: number) => filled(slot) >= sequence.prompt.length;
  const decoding = bySlot.map((sequence, slot) =>
    sequence && !sequence.isPaused && hasPrompt(sequence, slot) ? sequence : undefined,
  );
  const top = decoding.findLastIndex((sequence) => sequence !== undefined);
  const prefilling = bySlot.find((sequence, slot) => sequence !== undefined && !hasPrompt(sequence, slot));
  const reach = Math.min(state.slots.length, Math.max(state.peakSlots, occupied.size) + limits.spareSlots);

  const chunk = top < 0 ? limits.chunkAlone : limits.chunkWhileDecoding;
  const mayPrefill = (tokens: number) =>
    top < 0 || state.promptWork === 0 || state.promptWork + prefillCost(Math.min(tokens, chunk)) <= chunk;
  const prefill = (sequence: S, slot: number, start: number): PlannedRun<S> => {
    const most = sequence.needsPromptLogits ? Math.min(chunk, limits.chunkWithLogits) : chunk;
    return { type: 'prefill', sequence, slot, start, end: chunkEnd(start, sequence.prompt.length, most) };
  };

  if (prefilling?.slot !== undefined) {
    const start = filled(prefilling.slot);
    if (mayPrefill(prefilling.prompt.length - start)) {
      return { ended, copies: [], run: prefill(prefilling, prefilling.slot, start) };
    }
  } else if (next) {
    const mayShare = next.needsPromptLogits ? 0 : next.prompt.length - 2;
    const placement = placeSequence(next.prompt, state.slots, occupied, reach, mayShare);
    if (placement && mayPrefill(next.prompt.length - placement.shared)) {
      const { slot, shared, copies } = placement;
      return { ended, admitted: { sequence: next, slot, shared }, copies, run: prefill(next, slot, shared) };
    }
  }
  if (top < 0) return { ended, copies: [], run: { type: 'idle' } };

  // Rows are dense: a free slot below the top is either filled by moving the top one there, or computed for nothing.
  const rows = decoding.slice(0, top + 1);
  const hole = rows.findIndex((_, slot) => !occupied.has(slot));
  const mover = rows[top];
  const willBeFilled = next !== undefined && prefilling === undefined;
  if (hole < 0 || !mover || willBeFilled || filled(top) > mover.remaining * POSITIONS_PER_ROW) {
    return { ended, copies: [], run: { type: 'decode', rows } };
  }
  const save = saveSlot(state.slots, occupied, hole, reach);
  const copies = [...(save ? [save] : []), { from: top, to: hole, length: filled(top) }];
  rows[hole] = mover;
  rows[top] = undefined;
  while (rows.at(-1) === undefined) rows.pop();
  return { ended, moved: { sequence: mover, slot: hole }, copies, run: { type: 'decode', rows } };
}
