/**
 * Which slot a new sequence takes, and what already computed it can start from. A slot keeps its contents after its sequence has
 * ended, until the place is needed. Shared are only positions whose numbers are, bit for bit, what the new sequence would compute
 * alone: those of prompts. Pure: it reads what each slot holds and returns what to copy.
 */

/** What a slot's cache holds, live or left over. */
export interface SlotContents {
  /** The tokens of positions 0.. that are filled. */
  readonly tokens: readonly number[];
  /** How many of them were computed as a prompt. Decoding computes a row by itself, with other rounding than in a prompt. */
  readonly shareable: number;
  /** The step in which it was last used. */
  readonly usedAt: number;
}

export interface SlotCopy {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

export interface Placement {
  readonly slot: number;
  /** Positions that need not be computed; at most all but two, since the last token's logits are wanted and no row runs alone. */
  readonly shared: number;
  /** In this order, before anything runs. */
  readonly copies: readonly SlotCopy[];
}

/** Copying fewer positions than this costs more than it saves. */
const WORTH_COPYING = 16;

export function commonPrefix(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length++;
  return length;
}

/**
 * Where to save what `slot` holds before it is overwritten: the free slot below `reach` unused for longest, an empty one first.
 * Undefined when what it holds is worth less than what any of them does. `keep` is never chosen.
 */
export function saveSlot(
  slots: readonly SlotContents[],
  occupied: ReadonlySet<number>,
  slot: number,
  reach: number,
  keep?: number,
): SlotCopy | undefined {
  const age = (contents: SlotContents) => (contents.shareable === 0 ? -1 : contents.usedAt);
  const saved = slots[slot];
  if (!saved || saved.shareable < WORTH_COPYING) return undefined;
  let oldest: { to: number; age: number } | undefined;
  for (const [to, contents] of slots.entries()) {
    if (to >= reach || to === slot || to === keep || occupied.has(to)) continue;
    if (age(contents) < (oldest?.age ?? saved.usedAt)) oldest = { to, age: age(contents) };
  }
  return oldest && { from: slot, to: oldest.to, length: saved.shareable };
}

/**
 * The lowest free slot, so that decoding slots stay dense, started from the longest prefix that any slot holds.
 * Undefined when every slot is occupied. `reach`: slots that leftover contents may be copied to, so that keeping them does not
 * touch memory which serving has not touched anyway. `mayShare`: how many positions may be taken over; the last token's logits are
 * wanted and no row runs alone, so all but two at most.
 */
export function placeSequence(
  prompt: readonly number[],
  slots: readonly SlotContents[],
  occupied: ReadonlySet<number>,
  reach: number,
  mayShare = prompt.length - 2,
): Placement | undefined {
  const slot = slots.findIndex((_, index) => !occupied.has(index));
  const target = slots[slot];
  if (!target) return undefined;

  const most = Math.max(mayShare, 0);
  const usable = (contents: SlotContents) => Math.min(commonPrefix(prompt, contents.tokens), contents.shareable, most);
  let source = slot;
  let shared = usable(target);
  const inPlace = shared;
  for (const [index, contents] of slots.entries()) {
    const length = usable(contents);
    if (length > shared && length >= WORTH_COPYING) {
      source = index;
      shared = length;
    }
  }

  const copies: SlotCopy[] = [];
  if (target.shareable - inPlace >= WORTH_COPYING) {
    const save = saveSlot(slots, occupied, slot, reach, source);
    if (save) copies.push(save);
  }
  if (source !== slot) copies.push({ from: source, to: slot, length: shared });
  return { slot, shared, copies };
}
