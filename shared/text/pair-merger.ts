/**
 * Byte-pair merging over token ids: the pair with the lowest rank first, the leftmost among equals (Sennrich et al. 2016, as in
 * Hugging Face tokenizers' word.rs). Bounded time on a word of any length. Knows no text.
 */

/** Up to here looking through all pairs is faster than keeping a heap. */
const SHORT = 40;
/** A heap entry is rank * 2^31 + position in one exact double. */
const RANK_UNIT = 2 ** 31;
export const MAX_MERGES = 2 ** 21;
const FIELDS = 4;

export class PairMerger {
  /** Open addressing; per slot: left, right, rank, merged id. Left is -1 where a slot is free. */
  readonly #slots: Int32Array;
  readonly #shift: number;

  constructor(pairs: number) {
    const bits = Math.max(4, Math.ceil(Math.log2(pairs + 1)) + 1);
    this.#slots = new Int32Array(2 ** bits * FIELDS).fill(-1);
    this.#shift = 32 - bits;
  }

  /** The first rank given to a pair stays. */
  add(left: number, right: number, rank: number, merged: number): void {
    let at = this.#home(left, right);
    while (this.#slots[at] !== -1) {
      if (this.#slots[at] === left && this.#slots[at + 1] === right) return;
      at = this.#next(at);
    }
    this.#slots[at] = left;
    this.#slots[at + 1] = right;
    this.#slots[at + 2] = rank;
    this.#slots[at + 3] = merged;
  }

  #home(left: number, right: number): number {
    return ((Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> this.#shift) * FIELDS;
  }

  #next(at: number): number {
    return at + FIELDS === this.#slots.length ? 0 : at + FIELDS;
  }

  /** Index of the pair's slot, or -1. */
  #find(left: number, right: number): number {
    const slots = this.#slots;
    for (let at = this.#home(left, right); ; at = this.#next(at)) {
      if (slots[at] === left && slots[at + 1] === right) return at;
      if (slots[at] === -1) return -1;
    }
  }

  /** Merges `symbols[0..length)` in place; the result is in front, its length is returned. Ids below 0 never merge. */
  merge(symbols: Int32Array, length: number, short = SHORT): number {
    return length <= short ? this.#mergeShort(symbols, length) : this.#mergeLong(symbols, length);
  }

  #mergeShort(symbols: Int32Array, length: number): number {
    const slots = this.#slots;
    let left = length;
    for (;;) {
      let best = -1;
      let bestRank = MAX_MERGES;
      let bestAt = 0;
      for (let i = 0; i + 1 < left; i++) {
        const slot = this.#find(symbols[i] ?? -1, symbols[i + 1] ?? -1);
        const rank = slot === -1 ? MAX_MERGES : (slots[slot + 2] ?? MAX_MERGES);
        if (rank < bestRank) {
          best = slot;
          bestRank = rank;
          bestAt = i;
        }
      }
      if (best === -1) return left;
      symbols[bestAt] = slots[best + 3] ?? -1;
      symbols.copyWithin(bestAt + 1, bestAt + 2, left);
      left--;
    }
  }

  #mergeLong(symbols: Int32Array, length: number): number {
    const slots = this.#slots;
    const before = Int32Array.from({ length }, (_, i) => i - 1);
    const after = Int32Array.from({ length }, (_, i) => (i + 1 < length ? i + 1 : -1));
    /** Slot of the pair that begins at a position, -1 when there is none; tells stale heap entries from live ones. */
    const pairAt = new Int32Array(length).fill(-1);
    const heap = new MinHeap(length);
    const consider = (at: number) => {
      const right = after[at] ?? -1;
      const slot = right === -1 ? -1 : this.#find(symbols[at] ?? -1, symbols[right] ?? -1);
      pairAt[at] = slot;
      if (slot !== -1) heap.push((slots[slot + 2] ?? 0) * RANK_UNIT + at);
    };
    for (let i = 0; i + 1 < length; i++) consider(i);
    while (heap.size > 0) {
      const entry = heap.pop();
      const at = entry % RANK_UNIT;
      const slot = pairAt[at] ?? -1;
      if (slot === -1 || slots[slot + 2] !== Math.floor(entry / RANK_UNIT)) continue;
      const gone = after[at] ?? -1;
      const next = after[gone] ?? -1;
      symbols[at] = slots[slot + 3] ?? -1;
      pairAt[gone] = -1;
      after[at] = next;
      if (next !== -1) before[next] = at;
      consider(at);
      const previous = before[at] ?? -1;
      if (previous !== -1) consider(previous);
    }
    let kept = 0;
    for (let at = 0; at !== -1; at = after[at] ?? -1) symbols[kept++] = symbols[at] ?? -1;
    return kept;
  }
}

/** A binary heap of numbers that grows. */
class MinHeap {
  size = 0;
  #items: Float64Array;

  constructor(capacity: number) {
    this.#items = new Float64Array(Math.max(capacity, 16));
  }

  push(item: number): void {
    if (this.size === this.#items.length) {
      const larger = new Float64Array(this.size * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    const items = this.#items;
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] ?? 0;
      if (above <= item) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  /** Only when size > 0. */
  pop(): number {
    const items = this.#items;
    const top = items[0] ?? 0;
    const item = items[--this.size] ?? 0;
    const size = this.size;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && (items[child + 1] ?? 0) < (items[child] ?? 0)) child++;
      const below = items[child] ?? 0;
      if (below >= item) break;
      items[at] = below;
      at = child;
    }
    items[at] = item;
    return top;
  }
}
