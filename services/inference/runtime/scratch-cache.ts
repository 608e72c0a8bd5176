/**
 * The float32 cache a prompt is computed in, and its exact passage to and from the int8 cache: every value lies on the int8 grid already.
 * Holds one sequence at a time; knows which positions of which slot it holds. Knows no graph and no runtime.
 */

/** One layer's keys or values: `int8` is [slots, heads, capacity, size], `float` [heads, capacity, size], `scale` [heads * size]. */
export interface CachePair {
  readonly int8: Int8Array;
  readonly float: Float32Array;
  readonly scale: Float32Array;
}

export interface CacheShape {
  readonly heads: number;
  readonly capacity: number;
  readonly size: number;
}

export class ScratchCache {
  readonly #pairs: readonly CachePair[];
  readonly #shape: CacheShape;
  #slot = -1;
  #length = 0;

  constructor(pairs: readonly CachePair[], shape: CacheShape) {
    this.#pairs = pairs;
    this.#shape = shape;
  }

  /** Makes it hold the first `length` positions of `slot`, from the int8 cache where it does not yet. */
  load(slot: number, length: number): void {
    const known = this.#slot === slot ? Math.min(this.#length, length) : 0;
    this.#rows(slot, known, length, ({ int8, float, scale }, from, to, channel) => {
      for (let i = 0; i < this.#shape.size; i++)
        float[to + i] = (int8[from + i] as number) * (scale[channel + i] as number);
    });
    this.#slot = slot;
    this.#length = length;
  }

  /** Passes positions start..end, computed in it for the slot it holds, on to the int8 cache. */
  store(start: number, end: number): void {
    this.#rows(this.#slot, start, end, ({ int8, float, scale }, to, from, channel) => {
      for (let i = 0; i < this.#shape.size; i++) {
        int8[to + i] = Math.round((float[from + i] as number) / (scale[channel + i] as number));
      }
    });
    this.#length = end;
  }

  /** The slot's int8 positions from `length` on are about to change. */
  forget(slot: number, length: number): void {
    if (this.#slot === slot) this.#length = Math.min(this.#length, length);
  }

  /** For every run of `size` numbers: its index in the int8 cache, in the float cache, and of its first channel. */
  #rows(
    slot: number,
    start: number,
    end: number,
    pass: (pair: CachePair, int8: number, float: number, channel: number) => void,
  ): void {
    const { heads, capacity, size } = this.#shape;
    for (const pair of this.#pairs) {
      for (let head = 0; head < heads; head++) {
        for (let position = start; position < end; position++) {
          const float = (head * capacity + position) * size;
          pass(pair, slot * heads * capacity * size + float, float, head * size);
        }
      }
    }
  }
}
