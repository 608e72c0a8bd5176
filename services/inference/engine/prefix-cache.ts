/**
 * Which slot a new sequence takes, and what already computed it can start from. A slot keeps its contents after its sequence has
 * ended, until the place is needed; the positions of a shared prefix are the same numbers whoever computed them.
 * Pure: it reads what each slot holds and returns what to copy.
 */

/** What a slot's cache holds, live or left over. */
export interface SlotContents {
  /** The tokens of positions 0.. that are filled. */
  readonly tokens: readonly number[];
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
  /** Positions that need not be computed; less than the prompt, whose last token's logits are always wanted. */
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
  const age = (contents: SlotContents) => (contents.tokens.length === 0 ? -1 : contents.usedAt);
  const saved = slots[slot];
  if (!saved || saved.tokens.length < WORTH_COPYING) return undefined;
  let oldest: { to: number; age: number } | undefined;
  for (const [to, contents] of slots.entries()) {
    if (to >= reach || to === slot || to === keep || occupied.has(to)) continue;
    if (age(contents) < (oldest?.age ?? saved.usedAt)) oldest = { to, age: age(contents) };
  }
  return oldest && { from: slot, to: oldest.to, length: saved.tokens.length };
}

/**
 * The lowest free slot, so that decoding slots stay dense, started from the longest prefix that any slot holds.
 * Undefined when every slot is occupied. `reach`: slots that leftover contents may be copied to, so that keeping them does not
 * touch memory which serving has not touched anyway.
 */
export function placeSequence(
  prompt: readonly number[],
  slots: readonly SlotContents[],
  occupied: ReadonlySet<number>,
  reach: number,
): Placement | undefined {
  const slot = slots.findIndex((_, index) => !occupied.has(index));
  const target = slots[slot];
  if (!target) return undefined;

  const usable = (contents: SlotContents) => Math.min(commonPrefix(prompt, contents.tokens), prompt.length - 1);
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
  if (target.tokens.length - inPlace >= WORTH_COPYING) {
    const save = saveSlot(slots, occupied, slot, reach, source);
    if (save) copies.push(save);
  }
  if (source !== slot) copies.push({ from: source, to: slot, length: shared });
  return { slot, shared, copies };
}
